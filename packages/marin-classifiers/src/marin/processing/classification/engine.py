"""Runs one function over many files on the workers of the current cluster, through Zephyr."""

import contextlib
import contextvars
import functools
import logging
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from marin.classifiers.errors import ClassificationError
from marin.cluster.connect import current_cluster
from marin.cluster.errors import ClusterError, ClusterUnreachableError, UnschedulableError
from marin.errors import MarinError, MissingRequirementError, UsageError
from marin.execution.progress import report_progress
from marin.resources.config import ResourceConfig, head_resources
from marin.storage import exists, expand, filesystem, join, remove, write_text

if TYPE_CHECKING:
    from connectrpc.errors import ConnectError

logger = logging.getLogger(__name__)

HEARTBEAT_TIMEOUT_SECONDS = 30.0
"""A worker that was not heard of for so long is given up, and its file goes to another one."""
PROGRESS_SECONDS = 2.0
"""Time between two looks at the finished outputs."""
STOP_SECONDS = 1.0
"""Time between two looks of a worker whether its run goes on."""
STOP_TIMEOUT_SECONDS = 30.0
"""How long an interrupted run waits for its workers to end their jobs."""


def run_over_files[JobT, ResultT](
    work: Callable[[JobT], ResultT],
    jobs: Sequence[JobT],
    *,
    name: str,
    outputs: Sequence[str],
    output_path: str,
    max_workers: int,
    resources: ResourceConfig,
    heartbeat_timeout: float = HEARTBEAT_TIMEOUT_SECONDS,
) -> list[ResultT]:
    """`work(job)` for each job, on at most `max_workers` workers; the results in the order of the jobs.

    A worker runs one job at a time, in its own process, which stays for all of its jobs. A job whose worker is lost
    runs again on another, so `work` must write its output whole or not at all, and calls `stop_point` now and then, so
    that an interrupted run ends its jobs within seconds. An error that would come again
    (`UsageError`, `MissingRequirementError`) is raised here once every job was tried; any other error is tried three
    times.

    Args:
        work: A function of an installed module.
        jobs: One for each file; picklable.
        name: Names the workers.
        outputs: Files whose appearance is progress; all below `output_path`.
        output_path: Folder that also holds the pool's own files while it runs.
        max_workers: Most workers at once.
        resources: What each worker asks for.
        heartbeat_timeout: Seconds after which a silent worker is given up; workers send a sign every 5.

    Raises:
        UsageError, MissingRequirementError: the first such error of a job.
        ClassificationError: a job failed three times, or the pool was lost.
        UnschedulableError: no machine of the cluster can hold a worker.
        ClusterUnreachableError: the cluster does not answer.
    """
    if not jobs:
        return []
    scratch = join(output_path, ".zephyr", uuid.uuid4().hex)
    marker = join(scratch, "running")
    try:
        write_text(marker, "a worker stops when this file is gone\n")
        with _logging_left_alone():
            pool = _pool(name, min(max_workers, len(jobs)), resources, scratch, heartbeat_timeout)
            results = _execute(pool, functools.partial(_run_shard, work, marker), jobs, outputs, marker)
    finally:
        remove(join(output_path, ".zephyr"))
        _remove_unfinished(outputs)
    failures = [result for result in results if isinstance(result, MarinError)]
    for failure in failures[1:]:
        logger.error("%s", failure)
    if failures:
        raise failures[0]
    return cast(list[ResultT], results)


def stop_point() -> None:
    """End the job if its run was stopped; `work` calls this for each row, which costs next to nothing.

    Raises:
        RunStopped: the run was interrupted.
    """
    job = _job.get()
    if job is None or time.monotonic() < job.next_look:
        return
    job.next_look = time.monotonic() + STOP_SECONDS
    if not exists(job.marker):
        raise RunStopped("the run was stopped")


class RunStopped(ClassificationError):
    """Ends the jobs of a run that was interrupted."""


@dataclass(slots=True)
class _Job:
    marker: str
    """File that is there as long as the run goes on."""
    next_look: float = 0.0
    """When to look for it again."""


_job: ContextVar[_Job | None] = ContextVar("marin_classification_job", default=None)


def _pool(name: str, workers: int, resources: ResourceConfig, scratch: str, heartbeat_timeout: float) -> Any:
    # Zephyr brings pyarrow and the S3 stack; only a run needs them.
    from zephyr.context import ZephyrContext

    return ZephyrContext(
        client=current_cluster().client,
        name=name,
        max_workers=workers,
        resources=resources.to_fray(),
        coordinator_resources=head_resources().to_fray(),  # Zephyr's own would ask for 64 GB of disk
        chunk_storage_prefix=scratch,
        heartbeat_timeout=heartbeat_timeout,
        stage_runner_factory=_inline_runner,
    )


def _execute(
    pool: Any, run_shard: Callable[..., Iterator[Any]], jobs: Sequence[Any], outputs: Sequence[str], marker: str
) -> list[Any]:
    from connectrpc.errors import ConnectError
    from fray.actor import ActorUnavailableError
    from zephyr.dataset import Dataset
    from zephyr.stage_io import ZephyrWorkerError

    dataset: Any = cast(Any, Dataset).from_list(list(jobs)).map_shard(run_shard)
    try:
        # Entered: a pool that is kept to the end survives a lost worker, one made for a single call often does not.
        with pool:
            execution = _in_thread(lambda: pool.execute(dataset))
            try:
                while wait([execution], timeout=PROGRESS_SECONDS).not_done:
                    _report(outputs)
            except BaseException:
                # Ctrl-C above all: the workers end their jobs, and remove what is half-written, before the pool goes.
                remove(marker)
                wait([execution], timeout=STOP_TIMEOUT_SECONDS)
                raise
            _report(outputs)
            return execution.result().results
    except (ZephyrWorkerError, ActorUnavailableError) as error:
        raise ClassificationError(
            f"the workers failed: {_summary(str(error))}; finished files are kept, a new run goes on from there"
        ) from error
    except ConnectError as error:
        raise _cluster_error(error) from error


def _in_thread(call: Callable[[], Any]) -> Future[Any]:
    """The result of `call`, made in a thread that does not keep the process alive, as a pool of threads would."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001  # whatever it is belongs to the thread that waits
            future.set_exception(error)

    threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True).start()
    return future


def _cluster_error(error: "ConnectError") -> ClusterError:
    """Zephyr submits its workers through the Fray client, whose errors are those of the wire."""
    from connectrpc.code import Code

    reason = error.message.split(" (constraints:", 1)[0]  # Iris adds the request in its own notation
    if error.code in (Code.FAILED_PRECONDITION, Code.RESOURCE_EXHAUSTED):
        return UnschedulableError(f"the cluster cannot hold the workers: {reason}")
    return ClusterUnreachableError(f"the cluster does not answer: {reason}")


def _run_shard(work: Callable[[Any], Any], marker: str, jobs: Iterable[Any], _shard: object) -> Iterator[Any]:
    """One shard is one job. Errors that would come again are its result, as Zephyr would try it three times."""
    for job in jobs:
        yield _run_job(work, marker, job)


def _run_job(work: Callable[[Any], Any], marker: str, job: Any) -> Any:
    token = _job.set(_Job(marker))
    try:
        stop_point()
        return work(job)
    except (UsageError, MissingRequirementError, RunStopped) as error:
        return error
    finally:
        _job.reset(token)


def _inline_runner() -> Any:
    # Zephyr's default starts a process for each file, which would load the model for each file.
    from zephyr.runners import InlineRunner

    return InlineRunner()


def _remove_unfinished(outputs: Sequence[str]) -> None:
    """Remove what killed workers left of outputs that they were writing."""
    for folder in {output.rpartition("/")[0] for output in outputs}:
        fs, native = filesystem(folder)
        for path in fs.glob(f"{native}/*.tmp.*"):
            with contextlib.suppress(OSError):
                fs.rm(path)


def _report(outputs: Sequence[str]) -> None:
    folders = {output.rpartition("/")[0] for output in outputs}
    present = set(expand([f"{folder}/*" for folder in folders]))
    report_progress(sum(output in present for output in outputs), len(outputs), unit="files")


def _summary(error: str) -> str:
    """The first and the last line: Zephyr puts a whole traceback between them."""
    lines = [line.strip() for line in error.strip().splitlines() if line.strip()]
    return lines[0] if len(lines) == 1 else f"{lines[0]} {lines[-1]}"


@contextlib.contextmanager
def _logging_left_alone() -> Generator[None]:
    """Keep the logging of this process as it is.

    Workers that are threads of this process call Rigging's `configure_logging`, which takes over the root logger. What
    Zephyr and Fray write is a dozen lines a file at level INFO; above it are tracebacks of errors that are raised here
    as well, which only who asks for INFO gets to see.
    """
    from rigging.log_setup import configure_logging

    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {handler: handler.level for handler in handlers}
    noisy = [logging.getLogger(name) for name in ("fray", "iris", "rigging", "zephyr")]
    noisy_levels = [logger.level for logger in noisy]
    configure_logging(root.getEffectiveLevel())  # later calls find it configured and only set levels
    root.handlers[:] = handlers
    for noisy_logger in noisy:
        noisy_logger.setLevel(logging.WARNING if root.isEnabledFor(logging.INFO) else logging.CRITICAL)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for handler, handler_level in levels.items():
            handler.setLevel(handler_level)
        for noisy_logger, noisy_level in zip(noisy, noisy_levels, strict=True):
            noisy_logger.setLevel(noisy_level)
