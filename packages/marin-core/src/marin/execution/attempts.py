"""One attempt to run a step: its body in a thread or as a job, and the status that it leaves."""

import contextvars
import logging
import os
import threading
import time
import tomllib
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fray.types import Entrypoint

from marin import storage
from marin.cluster.connect import current_cluster
from marin.cluster.environment import Environment
from marin.cluster.errors import JobFailed
from marin.cluster.jobs import Job, JobSpec
from marin.execution.failures import Failure
from marin.execution.graph import Node
from marin.execution.identity import HASH_LENGTH
from marin.execution.progress import ProgressSink, progress_sink
from marin.execution.status import StepStatus, write_status
from marin.resources.config import ResourceConfig

logger = logging.getLogger(__name__)

TRACEBACK_FILE = ".executor_traceback"
"""In the output of a step that failed: the whole traceback, as text."""

_JOB_ERROR_FILE = ".executor_job_error"


class Attempt:
    """Runs the body of one step once, in a thread of its own, and records how it ends.

    The thread is a daemon: a body that cannot be stopped must not keep an interrupted process alive.
    """

    def __init__(self, node: Node, *, on_progress: ProgressSink, on_end: "Callable[[Attempt], None]") -> None:
        self.node = node
        self.failure: Failure | None = None
        self.interrupted = False
        """Whether the body was interrupted, as by Ctrl-C."""
        self.seconds = 0.0
        self._on_progress = on_progress
        self._on_end = on_end
        self._lock = threading.Lock()
        self._settled = False
        self._job: Job | None = None

    def start(self) -> None:
        """Start the body; `on_end` is called in its thread, with this attempt, when all is recorded."""
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._run,), name=f"step {self.node.name}", daemon=True).start()

    def cancel(self) -> None:
        """Record that the step was cancelled, unless it has ended, and terminate its job."""
        self._settle(StepStatus.CANCELLED, "interrupted")
        if self._job is not None:
            self._job.terminate()

    def _run(self) -> None:
        started = time.monotonic()
        progress_sink.set(self._on_progress)
        try:
            write_status(self.node.output_path, StepStatus.RUNNING)
            self._run_body()
            self._settle(StepStatus.SUCCESS, None)
        except KeyboardInterrupt:
            self.interrupted = True
            self._record(lambda: self._settle(StepStatus.CANCELLED, "interrupted"))
        except BaseException as error:  # noqa: BLE001  # the edge of the thread; the scheduler reports the failure
            failure = error.failure if isinstance(error, _JobBodyFailed) else Failure.of(error)
            self.failure = failure
            self._record(lambda: self._settle_failed(failure))
        finally:
            self.seconds = time.monotonic() - started
            self._on_end(self)

    def _run_body(self) -> None:
        step = self.node.step
        if step.fn is None:
            return
        if step.needs_job:
            self._run_job(step.fn)
        else:
            step.fn(self.node.config)

    def _run_job(self, function: Callable[[Any], Any]) -> None:
        attempt_id = uuid.uuid4().hex
        error_path = storage.join(self.node.output_path, _JOB_ERROR_FILE)
        step = self.node.step
        spec = JobSpec(
            name=f"{self.node.name}-{self.node.digest[:HASH_LENGTH]}",
            entrypoint=Entrypoint.from_callable(run_job_body, [function, self.node.config, error_path, attempt_id]),
            resources=step.resources or ResourceConfig(),
            environment=_environment(step.env_vars, step.pip_dependency_groups),
        )
        job = self._job = current_cluster().submit(spec)
        if self._settled:
            # Cancelled while the job was on its way: `cancel` has not seen it.
            job.terminate()
        try:
            job.wait()
        except JobFailed as error:
            raise _JobBodyFailed(_read_job_error(error_path, attempt_id) or _failure_without_body(error)) from error

    def _settle(self, status: StepStatus, message: str | None) -> None:
        """Record how the attempt ended; only the first call does: a cancelled body cannot turn into a result."""
        with self._lock:
            if self._settled:
                return
            write_status(self.node.output_path, status, message)
            self._settled = True

    def _settle_failed(self, failure: Failure) -> None:
        storage.write_text(storage.join(self.node.output_path, TRACEBACK_FILE), failure.traceback)
        self._settle(StepStatus.FAILED, failure.summary())

    def _record(self, write: Callable[[], None]) -> None:
        try:
            write()
        except storage.StorageError as error:
            # The body's own error matters more; the file still says RUNNING, which never passes for a result.
            logger.warning("the end of step %s could not be recorded: %s", self.node.name, error)


class _JobBodyFailed(Exception):
    """The job of a step failed; `failure` is the body's where the body could still say it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.summary())
        self.failure = failure


def run_job_body(function: Callable[[Any], Any], config: Any, error_path: str, attempt_id: str) -> None:
    """Run `function(config)` in a job; an exception is written to `error_path` for the driver, then raised."""
    try:
        function(config)
    except BaseException as error:
        failure = Failure.of(error)
        try:
            storage.write_json(error_path, {"attempt": attempt_id, **failure.to_json()})
        except storage.StorageError as storage_error:
            logger.warning("the driver cannot be told of %s: %s", failure.error_line(), storage_error)
        if isinstance(error, SystemExit):
            # Some back ends take exit status 0 for success, and the body has not returned.
            raise RuntimeError(failure.error_line()) from error
        raise


def _read_job_error(path: str, attempt_id: str) -> Failure | None:
    """What the job wrote; None if this attempt wrote nothing, as when its process was killed."""
    try:
        value = storage.read_json(path)
        return Failure.from_json(value) if value["attempt"] == attempt_id else None
    except (storage.StorageError, KeyError, TypeError) as error:
        logger.debug("no error of the job at %s: %s", path, error)
        return None


def _failure_without_body(error: JobFailed) -> Failure:
    """The failure of a job whose process ended without a word of the body; its log is all there is."""
    return Failure(
        type=type(error).__name__,
        message=str(error),
        location=None,
        traceback="\n".join([*error.log_tail, str(error), ""]),
    )


def _environment(env_vars: dict[str, str] | None, groups: Sequence[str] | None) -> Environment:
    """The environment of a step's job; a group is an extra where the project has one of that name."""
    extras = _project_extras() if groups else frozenset[str]()
    return Environment(
        env_vars=env_vars or {},
        extras=tuple(group for group in groups or () if group in extras),
        pip_packages=tuple(group for group in groups or () if group not in extras),
    )


def _project_extras() -> frozenset[str]:
    """The extras of the project that the working directory belongs to."""
    for folder in [Path(os.getcwd()), *Path(os.getcwd()).parents]:
        project_file = folder / "pyproject.toml"
        if project_file.is_file():
            project = tomllib.loads(project_file.read_text(encoding="utf-8"))
            return frozenset(project.get("project", {}).get("optional-dependencies", {}))
    return frozenset()
