"""Jobs: what is submitted to a cluster, and how its end is awaited."""

import os
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Protocol

from fray.types import Entrypoint, JobRequest, JobStatus

from marin.cluster.environment import Environment
from marin.cluster.errors import JobFailed, JobTerminated, JobTimeout
from marin.errors import UsageError
from marin.resources.config import ResourceConfig

LOG_TAIL_LINES = 40
"""Lines of its log that a `JobFailed` carries."""

IRIS_TASK_VARIABLE = "IRIS_TASK_ID"
"""Environment variable that Iris sets in every task of a job."""


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """A job: what runs, on what, how often it is tried again.

    Raises:
        UsageError: a number is out of range or the name is empty.
    """

    name: str
    """What people call it; the cluster sees it cleaned and made unique."""
    entrypoint: Entrypoint
    """`Entrypoint.from_callable(fn, args, kwargs)` or `Entrypoint.from_binary(command, args)`; results of a
    callable are dropped, they travel through files."""
    resources: ResourceConfig = field(default_factory=ResourceConfig)
    """What one replica asks for."""
    environment: Environment = field(default_factory=Environment)
    """What surrounds the process."""
    replicas: int = 1
    """Tasks that run the entry point at the same time; each reads its index from `current_replica()`."""
    max_retries_failure: int = 0
    """How often a replica is run again after it failed."""
    max_retries_preemption: int = 100
    """How often a replica is run again after its machine was taken away."""
    timeout: float | None = None
    """Seconds that one attempt may run; it then fails. None is no limit."""

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise UsageError("the name of a job must not be empty")
        if (self.entrypoint.callable_entrypoint is None) == (self.entrypoint.binary_entrypoint is None):
            raise UsageError(f"job {self.name}: the entry point must be either a callable or a command")
        if self.replicas < 1:
            raise UsageError(f"job {self.name}: replicas must be at least 1, got {self.replicas}")
        if self.max_retries_failure < 0 or self.max_retries_preemption < 0:
            raise UsageError(f"job {self.name}: retries must not be negative")
        if self.timeout is not None and self.timeout <= 0:
            raise UsageError(f"job {self.name}: timeout must be above 0 s, got {self.timeout}")

    def unique_name(self) -> str:
        """The name in letters, digits and dashes, with a suffix that no other job has.

        Without the suffix Iris would hand out a running job of the same name and drop this one's body.
        """
        slug = re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")[:48]
        return f"{slug or 'job'}-{uuid.uuid4().hex[:8]}"

    def to_fray(self, unique_name: str) -> JobRequest:
        """The request in Fray's terms; `timeout` is left to the back end, which Fray's scan serves too coarsely."""
        request = JobRequest(
            name=unique_name,
            entrypoint=self.entrypoint,
            resources=self.resources.to_fray(),
            max_retries_failure=self.max_retries_failure,
            max_retries_preemption=self.max_retries_preemption,
            # Iris counts failures over the whole job as well; retries have no effect below this number.
            max_task_failures=self.max_retries_failure * self.replicas,
        )
        return replace(request, replicas=self.replicas) if self.replicas > 1 else request


@dataclass(frozen=True, kw_only=True, slots=True)
class Replica:
    """Which of a job's replicas this is."""

    index: int
    """0 to count - 1."""
    count: int
    """Replicas of the job."""


replica_context: ContextVar[Replica | None] = ContextVar("marin_replica", default=None)
"""Set by back ends around the body of a job that shares its process with others."""


def current_replica() -> Replica:
    """The replica that runs this code; index 0 of 1 outside a job."""
    replica = replica_context.get()
    if replica is not None:
        return replica
    # Iris names a task `/user/job/index:attempt` and gives the number of tasks beside it.
    task_id = os.environ.get(IRIS_TASK_VARIABLE)
    if task_id is None:
        return Replica(index=0, count=1)
    index = task_id.rsplit("/", 1)[-1].split(":", 1)[0]
    return Replica(index=int(index), count=int(os.environ.get("IRIS_NUM_TASKS", "1")))


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What a back end knows of a failed job."""

    reason: str
    """One line: the exception, the exit status, or what the cluster says."""
    attempts: int
    """Attempts over all retries."""
    exit_status: int | None = None
    """Exit status of the process, where there is one."""
    exception: BaseException | None = None
    """The exception itself, where it was raised in this process."""


class JobHandle(Protocol):
    """What a back end gives for a submitted job."""

    @property
    def id(self) -> str:
        """Name of the job, unique on its cluster."""
        ...

    def status(self) -> JobStatus:
        """Where the job stands."""
        ...

    def wait_finished(self, timeout: float | None) -> bool:
        """Wait until the job has ended, at most `timeout` seconds; whether it has."""
        ...

    def failure(self) -> Failure:
        """Why the job failed."""
        ...

    def logs(self) -> list[str]:
        """All lines that the job has written; complete once it has ended."""
        ...

    def follow_logs(self) -> Iterator[str]:
        """Lines as they are written, until the job has ended."""
        ...

    def terminate(self) -> None:
        """Stop the job."""
        ...


class Job:
    """A submitted job."""

    def __init__(self, name: str, handle: JobHandle) -> None:
        self.name = name
        self._handle = handle

    def __repr__(self) -> str:
        return f"Job({self.id!r})"

    @property
    def id(self) -> str:
        """Name of the job, unique on its cluster."""
        return self._handle.id

    def status(self) -> JobStatus:
        """Where the job stands: pending, running, succeeded, failed or stopped."""
        return self._handle.status()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the job has succeeded.

        Args:
            timeout: seconds to wait at most; the job goes on after a `JobTimeout`.

        Raises:
            JobFailed: it failed; the exception has reason, attempts and the last lines of the log.
            JobTerminated: it was stopped.
            JobTimeout: it has not ended in time.
        """
        if not self._handle.wait_finished(timeout):
            raise JobTimeout(self.id, timeout or 0.0)
        status = self.status()
        if status == JobStatus.STOPPED:
            raise JobTerminated(self.id)
        if status == JobStatus.FAILED:
            failure = self._handle.failure()
            raise JobFailed(
                self.id,
                reason=failure.reason,
                attempts=failure.attempts,
                log_tail=tuple(self.logs()[-LOG_TAIL_LINES:]),
                exit_status=failure.exit_status,
            ) from failure.exception

    def logs(self) -> list[str]:
        """The lines that the job has written so far, of all replicas and attempts; complete once it has ended."""
        return self._handle.logs()

    def follow_logs(self) -> Iterator[str]:
        """Lines as the job writes them, until it has ended."""
        return self._handle.follow_logs()

    def terminate(self) -> None:
        """Stop the job; a no-op once it has ended."""
        self._handle.terminate()


def wait_all(jobs: Sequence[Job], timeout: float | None = None) -> None:
    """Wait until all jobs have succeeded; the first that did not, in order of `jobs`, raises its error.

    All are waited for before an error is raised, so that none is left running unseen.

    Args:
        jobs: the jobs.
        timeout: seconds for all of them together.

    Raises:
        JobError: a job failed, was stopped, or has not ended in time.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    first_error: JobFailed | JobTerminated | JobTimeout | None = None
    for job in jobs:
        remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            job.wait(remaining)
        except (JobFailed, JobTerminated, JobTimeout) as error:
            first_error = first_error or error
    if first_error is not None:
        raise first_error
