"""The Iris back ends: jobs are processes on the workers of an Iris cluster.

`iris://HOST:PORT` is a running controller. `iris-local` starts a whole cluster on this machine that ends with this
process. `iris-task` is the cluster that runs this process as a task.
"""

import http.client
import logging
import pickle
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, cast

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from fray.client import Client
from fray.iris_backend import FrayIrisClient, map_iris_job_state
from fray.types import CallableEntrypoint, Entrypoint, EnvironmentConfig, JobStatus
from iris.client.client import IrisClient, get_iris_ctx
from iris.client.client import Job as IrisJob
from iris.client.workload import AttemptStatus
from iris.cluster.types import JobName
from iris.resources.state import TaskState

from marin.cluster.backend import ClusterConnection, ClusterUrl, refuse_packages
from marin.cluster.backends.task_main import END_OF_OUTPUT, run_command, run_task
from marin.cluster.code_transport import check_can_be_sent, ship_local_modules
from marin.cluster.errors import (
    ClusterError,
    ClusterUnreachableError,
    UnknownClusterError,
    UnschedulableError,
)
from marin.cluster.jobs import Failure, JobHandle, JobSpec
from marin.cluster.nodes import Node
from marin.errors import UsageError

_FIRST_POLL_SECONDS = 0.02
_LONGEST_POLL_SECONDS = 1.0
_LOG_POLL_SECONDS = 0.1
# A worker sends its lines once a second and when a task ends; a busy one, or one whose connection is new, takes longer.
_LOG_QUIET_SECONDS = 2.0
_LOG_PATIENCE_SECONDS = 15.0
_FIRST_SIGNAL_STATUS = 128
_MAX_LOG_LINES = 100_000
_PROBE_SECONDS = 5.0
_START_SECONDS = 60.0

# Finelog writes its INFO lines to stderr with a handler of its own, whatever the program has set up.
logging.getLogger("finelog.client.log_client").setLevel(logging.WARNING)


class IrisBackend:
    """Connects to a running controller: `iris://HOST:PORT`. Its workers run jobs in the environment that they have."""

    def connect(self, url: ClusterUrl) -> ClusterConnection:
        """Connect to the controller and make sure that it answers."""
        url.refuse_unknown_options()
        if not url.address:
            raise UnknownClusterError(f"{url}: say where the controller is, as in iris://127.0.0.1:10000")
        address = f"http://{url.address}"
        _probe(address, str(url))
        client = IrisClient.remote(address)
        return _IrisConnection(client, address=str(url), close=client.shutdown)


class LocalIrisBackend:
    """Starts an Iris cluster on this machine: `iris-local[?workers=N]`."""

    def connect(self, url: ClusterUrl) -> ClusterConnection:
        """Start controller and workers in a process of their own; it ends with the connection or with this process."""
        url.refuse_unknown_options("workers")
        if url.address:
            raise UnknownClusterError(f"{url}: iris-local starts a cluster of its own and has no address")
        server = _IrisServer(url.integer_option("workers", 4))
        try:
            client = IrisClient.remote(server.address)
            _wait_for_worker(client)
        except BaseException:  # Ctrl-C while it starts must not leave it behind either
            server.stop()
            raise

        def close() -> None:
            client.shutdown()
            server.stop()

        return _IrisConnection(client, address=f"iris://{server.address.removeprefix('http://')}", close=close)


def _wait_for_worker(client: IrisClient) -> None:
    """Wait until the first worker of a new cluster is there, so that nobody meets a cluster without machines."""
    deadline = time.monotonic() + _START_SECONDS
    while not any(worker.healthy for worker in client.list_workers()):
        if time.monotonic() > deadline:
            raise ClusterUnreachableError(f"no worker of the new Iris cluster came up within {_START_SECONDS:g} s")
        time.sleep(_FIRST_POLL_SECONDS)


class _IrisServer:
    """The process of an `iris-local` cluster."""

    def __init__(self, workers: int) -> None:
        # What Iris logs goes to a file that has no name: it is read only if the start fails.
        self._log = tempfile.TemporaryFile(mode="w+", errors="replace")  # noqa: SIM115  # lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "marin.cluster.backends.iris_server", str(workers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,  # Ctrl-C is for this process, which then ends the cluster in its order
        )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()
        if not self.address:
            self._process.wait()
            self._log.seek(0)
            tail = self._log.read()[-2_000:].strip()
            raise ClusterUnreachableError(f"the Iris cluster of this machine did not start: {tail}")

    def stop(self) -> None:
        """End the cluster and its jobs, and wait until it is gone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._log.close()


class IrisTaskBackend:
    """Connects to the cluster that runs this process as a task."""

    def connect(self, url: ClusterUrl) -> ClusterConnection:
        """Take the connection of the task."""
        context = get_iris_ctx()
        if context is None or context.client is None:
            raise UnknownClusterError(f"{url}: this process is not a task of an Iris job")
        return _IrisConnection(context.client, address="", close=lambda: None)


BACKEND = IrisBackend()
LOCAL_BACKEND = LocalIrisBackend()
TASK_BACKEND = IrisTaskBackend()


def _probe(address: str, url: str) -> None:
    """Raise `ClusterUnreachableError` unless a controller answers; Iris' client would try again for 40 minutes."""
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=_PROBE_SECONDS):
            pass
    except urllib.error.HTTPError:
        return  # it answers, and what it minds (credentials) its client will handle
    except OSError as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else cause
        raise ClusterUnreachableError(f"no Iris controller answers at {url}: {reason}") from error
    except (ValueError, http.client.HTTPException) as error:
        raise UnknownClusterError(f"{url} is not the address of an Iris controller: {error}") from error


class _IrisConnection:
    def __init__(self, client: IrisClient, *, address: str, close: Callable[[], None]) -> None:
        self.address = address
        self._iris = client
        self._fray = FrayIrisClient.from_iris_client(client)
        self._close: Callable[[], None] | None = close
        self._close_lock = threading.Lock()

    @property
    def client(self) -> Client:
        ship_local_modules()
        return cast(Client, self._fray)

    def submit(self, spec: JobSpec) -> JobHandle:
        if self._close is None:
            raise ClusterError(f"job {spec.name}: the connection to the cluster is closed")
        ship_local_modules()
        request = spec.to_fray(spec.unique_name())
        request.entrypoint = _task_entrypoint(spec)
        request.environment = _task_environment(spec)
        try:
            submitted = self._fray.submit(request, adopt_existing=False)
        except ConnectError as error:
            raise _submission_error(spec, error) from error
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            self.check(spec)  # names the part that is to blame
            raise UsageError(f"job {spec.name}: it cannot be sent to a worker: {error}") from error
        return _IrisJobHandle(self._iris.job(JobName.from_wire(submitted.job_id)))

    def check(self, spec: JobSpec) -> None:
        _task_environment(spec)
        body = spec.entrypoint.callable_entrypoint
        if body is not None:
            arguments = {f"argument {index}": value for index, value in enumerate(body.args)} | dict(body.kwargs)
            check_can_be_sent(body.callable, arguments, f"job {spec.name}")

    def nodes(self) -> list[Node]:
        return sorted((_node(worker) for worker in self._iris.list_workers()), key=lambda node: node.id)

    def close(self) -> None:
        with self._close_lock:
            close, self._close = self._close, None
        if close is not None:
            close()


def _task_environment(spec: JobSpec) -> EnvironmentConfig:
    # Iris would install them from an uploaded workspace, and its process runtime skips that without a word.
    refuse_packages(spec, "the workers of this cluster run jobs in the environment that they have: install them there")
    # Fray demands a workspace and Iris ignores it; no setup scripts means the environment as it is.
    return EnvironmentConfig(workspace=".", env_vars=dict(spec.environment.env_vars), setup_scripts=[])


def _task_entrypoint(spec: JobSpec) -> Entrypoint:
    """The entry point as the task runs it, see `run_task`."""
    options = {"env_vars": dict(spec.environment.env_vars), "timeout": spec.timeout}
    command = spec.entrypoint.binary_entrypoint
    if command is not None:
        return Entrypoint.from_callable(run_task, [run_command, [[command.command, *command.args]], {}], options)
    body = cast(CallableEntrypoint, spec.entrypoint.callable_entrypoint)
    return Entrypoint.from_callable(run_task, [body.callable, body.args, body.kwargs], options)


def _submission_error(spec: JobSpec, error: ConnectError) -> ClusterError:
    if error.code in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED):
        return ClusterUnreachableError(f"the cluster did not take the job {spec.name}: {error.message}")
    reason = error.message.split(" (constraints:", 1)[0]  # Iris adds the request in its own notation
    return UnschedulableError(f"the cluster cannot hold the job {spec.name}: {reason}")


class _IrisJobHandle:
    def __init__(self, job: IrisJob) -> None:
        self._job = job

    @property
    def id(self) -> str:
        return str(self._job.job_id)

    def status(self) -> JobStatus:
        return map_iris_job_state(self._job.state_only())

    def wait_finished(self, timeout: float | None) -> bool:
        # Iris' own wait lets up to 30 s pass between two looks at a long job.
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = _FIRST_POLL_SECONDS
        while not JobStatus.finished(self.status()):
            remaining = pause if deadline is None else min(pause, deadline - time.monotonic())
            if remaining <= 0:
                return False
            time.sleep(remaining)
            pause = min(pause * 1.5, _LONGEST_POLL_SECONDS)
        return True

    def failure(self) -> Failure:
        attempts = self._attempts()
        failed = next((attempt for attempt in reversed(attempts) if attempt.exit_code or attempt.error_message), None)
        if failed is None:
            return Failure(reason=self._job.status().error_message or "no reason given", attempts=len(attempts))
        exit_status = failed.exit_code or None
        return Failure(
            reason=_reason(failed.error_message, exit_status), attempts=len(attempts), exit_status=exit_status
        )

    def _attempts(self) -> list[AttemptStatus]:
        return [attempt for task in self._job.tasks() for attempt in task.status().attempts]

    def logs(self) -> list[str]:
        if JobStatus.finished(self.status()):
            self._wait_for_last_lines()
        return [line for line in self._stored_lines() if line != END_OF_OUTPUT]

    def follow_logs(self) -> Iterator[str]:
        shown: Counter[str] = Counter()
        for entry in self._job.follow_logs(poll_interval=_LOG_POLL_SECONDS):
            line = entry.data.rstrip("\n")
            if line != END_OF_OUTPUT:
                shown[line] += 1
                yield line
        # Iris stops at the first empty page after the end of the job. What arrives later may stand anywhere in the log,
        # which is in the order of the lines' times.
        for line in self.logs():
            if shown[line]:
                shown[line] -= 1
            else:
                yield line

    def _stored_lines(self) -> list[str]:
        return [entry.data.rstrip("\n") for entry in self._job.logs(max_lines=_MAX_LOG_LINES, tail=True)]

    def _wait_for_last_lines(self) -> None:
        """Wait until the log of the ended job is whole.

        It is when every attempt that ended by itself has marked its end. Those that were killed leave no mark; where
        there are no others, the log is taken for whole once it has gone quiet.
        """
        marks = sum(_ended_by_itself(attempt) for attempt in self._attempts())
        patience = _LOG_PATIENCE_SECONDS if marks else _LOG_QUIET_SECONDS
        quiet_since = time.monotonic()
        count = -1
        while time.monotonic() - quiet_since < patience:
            lines = self._stored_lines()
            if marks and lines.count(END_OF_OUTPUT) >= marks:
                return
            if len(lines) != count:
                count, quiet_since = len(lines), time.monotonic()
            time.sleep(_LOG_POLL_SECONDS)

    def terminate(self) -> None:
        if not JobStatus.finished(self.status()):
            self._job.cancel()


def _ended_by_itself(attempt: AttemptStatus) -> bool:
    # Shells and Iris count the statuses of killed processes from 128.
    return attempt.state is TaskState.SUCCEEDED or (
        attempt.state is TaskState.FAILED and 0 < attempt.exit_code < _FIRST_SIGNAL_STATUS
    )


def _reason(message: str, exit_status: int | None) -> str:
    """What Iris says (`Exit code: 1. stderr: <last line>`) in the words of the other back ends."""
    _, found, last_line = message.partition(". stderr: ")
    if found and exit_status != 0:
        return last_line
    return message if exit_status is None else f"exit status {exit_status}"


def _node(worker: Any) -> Node:
    metadata = worker.metadata
    attributes = {
        name: str(getattr(value, value.WhichOneof("value") or "string_value"))
        for name, value in metadata.attributes.items()
    }
    if metadata.gpu_count:
        accelerator = f"{metadata.gpu_count}x{metadata.gpu_name or attributes.get('device-variant', 'gpu')}"
    else:
        accelerator = attributes.get("device-variant", "") or "cpu"
    return Node(
        id=worker.worker_id,
        address=worker.address,
        healthy=worker.healthy,
        cpu=metadata.cpu_count,
        memory_bytes=metadata.memory_bytes,
        accelerator=accelerator,
        attributes=attributes,
    )
