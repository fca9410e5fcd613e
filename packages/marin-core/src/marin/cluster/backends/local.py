"""The `local` back end: jobs are threads of this process, or its child processes for commands.

Libraries on Fray, such as Zephyr, get Fray's `LocalClient`. Jobs do not go through it: it has no logs, retries,
deadlines, replicas or termination, jobs that wait for jobs lock each other in its pool, and the threads of the pool
keep an interrupted process alive until their jobs have ended.

A thread cannot be killed: a job that was terminated, or that ran past its deadline, counts as ended at once while its
callable runs on to its end, or to that of the process; a command is killed.
"""

import contextlib
import contextvars
import logging
import os
import signal
import subprocess
import threading
import traceback
from collections.abc import Callable, Generator, Iterator

from fray.client import Client
from fray.local_backend import LocalClient
from fray.types import BinaryEntrypoint, CallableEntrypoint, JobStatus

from marin.cluster.backend import ClusterConnection, ClusterUrl, refuse_packages
from marin.cluster.backends.output import JobLog, captured_output
from marin.cluster.errors import ClusterError, UnknownClusterError, UnsupportedRequestError
from marin.cluster.jobs import Failure, JobHandle, JobSpec, Replica, replica_context
from marin.cluster.nodes import Node, this_machine

logger = logging.getLogger(__name__)

# A thread is started only when none is idle; with 8, as shipped, eight jobs that each wait for a child never end.
_MAX_THREADS = 10_000


class LocalBackend:
    """Connects to this process."""

    def connect(self, url: ClusterUrl) -> ClusterConnection:
        """A new pool of threads in this process."""
        if url.address:
            raise UnknownClusterError(f"{url}: the local back end is this process and has no address; say local")
        url.refuse_unknown_options()
        return _LocalConnection()


BACKEND = LocalBackend()


class _LocalConnection:
    def __init__(self) -> None:
        self._client = LocalClient(max_threads=_MAX_THREADS)
        self._closed = False
        self.address = ""

    @property
    def client(self) -> Client:
        return self._client

    def submit(self, spec: JobSpec) -> JobHandle:
        if self._closed:
            raise ClusterError(f"job {spec.name}: the connection to the cluster is closed")
        self.check(spec)
        if spec.resources.accelerator is not None:
            logger.info("job %s asks for %s, which is not checked here", spec.name, spec.resources.accelerator)
        job = _LocalJob(spec)
        for index in range(spec.replicas):
            replica = Replica(index=index, count=spec.replicas)
            run = contextvars.copy_context().run
            threading.Thread(target=run, args=(job.run_replica, replica), name=job.id, daemon=True).start()
        return job

    def check(self, spec: JobSpec) -> None:
        _refuse_what_threads_cannot_do(spec)

    def nodes(self) -> list[Node]:
        return [this_machine()]

    def close(self) -> None:
        self._closed = True
        self._client.shutdown(wait=False)


def _refuse_what_threads_cannot_do(spec: JobSpec) -> None:
    environment = spec.environment
    refuse_packages(
        spec, "the local back end runs every job in the environment of this process: install them here before the start"
    )
    if environment.env_vars and spec.entrypoint.callable_entrypoint is not None:
        raise UnsupportedRequestError(
            f"job {spec.name} asks for environment variables ({', '.join(environment.env_vars)}), and the local back "
            "end runs callables as threads of this process, which share one environment: set them before the start, "
            "or use iris-local"
        )


class _LocalJob:
    """State of a job, shared by the threads that run its replicas and those that wait."""

    def __init__(self, spec: JobSpec) -> None:
        self._spec = spec
        self._id = spec.unique_name()
        self._log = JobLog()
        self._lock = threading.Lock()
        self._finished = threading.Event()
        self._status = JobStatus.PENDING
        self._failure: Failure | None = None
        self._attempts = 0
        self._unfinished_replicas = spec.replicas
        self._processes: set[subprocess.Popen[str]] = set()

    @property
    def id(self) -> str:
        return self._id

    def status(self) -> JobStatus:
        return self._status

    def wait_finished(self, timeout: float | None) -> bool:
        return self._finished.wait(timeout)

    def failure(self) -> Failure:
        assert self._failure is not None, "asked only of a failed job"
        return self._failure

    def logs(self) -> list[str]:
        return self._log.lines()

    def follow_logs(self) -> Iterator[str]:
        return self._log.follow()

    def terminate(self) -> None:
        self._finish(JobStatus.STOPPED, None)

    def run_replica(self, replica: Replica) -> None:
        """Run one replica, all its attempts; called in a thread of its own."""
        failure: Failure | None = None
        for _ in range(self._spec.max_retries_failure + 1):
            with self._lock:
                if self._finished.is_set():
                    return
                self._status = JobStatus.RUNNING
                self._attempts += 1
            failure = self._run_attempt(replica)
            if failure is None:
                break
            logger.info("job %s, replica %d: %s", self.id, replica.index, failure.reason)
        if failure is not None:
            self._finish(JobStatus.FAILED, failure)
            return
        with self._lock:
            self._unfinished_replicas -= 1
            unfinished = self._unfinished_replicas
        if not unfinished:
            self._finish(JobStatus.SUCCEEDED, None)

    def _run_attempt(self, replica: Replica) -> Failure | None:
        command = self._spec.entrypoint.binary_entrypoint
        body = self._spec.entrypoint.callable_entrypoint
        token = replica_context.set(replica)
        try:
            if command is not None:
                return self._run_command(command)
            assert body is not None, "checked on submission"
            with self._log.sink() as sink, captured_output(sink):
                return self._run_callable(body)
        finally:
            replica_context.reset(token)

    def _run_callable(self, body: CallableEntrypoint) -> Failure | None:
        def give_up() -> None:
            self._finish(JobStatus.FAILED, self._failed(f"{self._overdue_reason()}; its thread cannot be stopped"))

        with _deadline(self._spec.timeout, give_up):
            try:
                body.callable(*body.args, **body.kwargs)
            except SystemExit as error:
                if error.code in (None, 0):
                    return None
                status = error.code if isinstance(error.code, int) else 1
                return self._failed(f"exit status {status}", exit_status=status, exception=error)
            except BaseException as error:  # noqa: BLE001  # the edge of the thread: the job's waiter gets the error
                self._log.add("".join(traceback.format_exception(error)))
                return self._failed("".join(traceback.format_exception_only(error)).strip(), exception=error)
        return None

    def _run_command(self, entrypoint: BinaryEntrypoint) -> Failure | None:
        try:
            process = subprocess.Popen(
                [entrypoint.command, *entrypoint.args],
                env={**os.environ, **self._spec.environment.env_vars},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            return self._failed(f"cannot start {entrypoint.command!r}: {error.strerror}", exception=error)
        with self._lock:
            self._processes.add(process)
            ended_meanwhile = self._finished.is_set()
        if ended_meanwhile:
            _kill_group(process)
        overdue = threading.Event()

        def kill_overdue() -> None:
            overdue.set()
            _kill_group(process)

        assert process.stdout is not None
        with _deadline(self._spec.timeout, kill_overdue), process.stdout as output:
            for line in output:
                self._log.add(line)
            status = process.wait()
        with self._lock:
            self._processes.discard(process)
        if overdue.is_set():
            return self._failed(self._overdue_reason(), exit_status=status)
        return None if status == 0 else self._failed(f"exit status {status}", exit_status=status)

    def _overdue_reason(self) -> str:
        return f"ran past its deadline of {self._spec.timeout:g} s"

    def _failed(
        self, reason: str, *, exit_status: int | None = None, exception: BaseException | None = None
    ) -> Failure:
        return Failure(reason=reason, attempts=self._attempts, exit_status=exit_status, exception=exception)

    def _finish(self, status: JobStatus, failure: Failure | None) -> None:
        """Settle how the job ended; the first call counts."""
        with self._lock:
            if self._finished.is_set():
                return
            self._status = status
            self._failure = failure
            processes = list(self._processes)
            self._finished.set()
        for process in processes:
            _kill_group(process)
        self._log.close()


@contextlib.contextmanager
def _deadline(seconds: float | None, overdue: Callable[[], None]) -> Generator[None]:
    """Call `overdue` in a thread of its own if the block takes longer than `seconds`."""
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, overdue)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _kill_group(process: subprocess.Popen[str]) -> None:
    # At once and without a grace period, as Iris does: what must survive a termination is on storage.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
