"""What can go wrong with a cluster and its jobs.

MarinError
└── ClusterError
    ├── UnknownClusterError          2: no back end for this URL, or the URL is malformed
    ├── ClusterUnreachableError      4: nothing answers at the address
    ├── UnschedulableError           4: no machine of the cluster can ever hold the job
    ├── UnsupportedRequestError      2: this back end cannot honour a part of the request
    └── JobError                     1: about one job, which it names
        ├── JobFailed                   the job ran and failed
        ├── JobTerminated               the job was stopped
        └── JobTimeout                  a wait ended before the job did
"""

from typing import ClassVar

from marin.errors import MarinError


class ClusterError(MarinError):
    """A cluster or one of its jobs could not do what was asked."""


class UnknownClusterError(ClusterError):
    """No back end serves the URL of a cluster, or the URL is malformed."""

    exit_code: ClassVar[int] = 2


class ClusterUnreachableError(ClusterError):
    """Nothing answers at the address of the cluster."""

    exit_code: ClassVar[int] = 4


class UnschedulableError(ClusterError):
    """No machine of the cluster can ever hold the job; the message says which resource is short."""

    exit_code: ClassVar[int] = 4


class UnsupportedRequestError(ClusterError):
    """The back end cannot honour a part of the request, and would otherwise have to ignore it."""

    exit_code: ClassVar[int] = 2


class JobError(ClusterError):
    """Base of errors about one job."""

    def __init__(self, job_id: str, message: str) -> None:
        self.job_id = job_id
        super().__init__(message)


class JobFailed(JobError):
    """A job ran and failed."""

    def __init__(
        self, job_id: str, *, reason: str, attempts: int, log_tail: tuple[str, ...], exit_status: int | None
    ) -> None:
        self.reason = reason
        """Why it failed, in one line: the exception, the exit status, or what the cluster says."""
        self.attempts = attempts
        """How often it was tried, over all retries."""
        self.log_tail = log_tail
        """The last lines that it wrote."""
        self.exit_status = exit_status
        """Exit status of the process that failed, where there is one."""
        tries = f" after {attempts} attempts" if attempts > 1 else ""
        super().__init__(job_id, f"job {job_id} failed{tries}: {reason}")


class JobTerminated(JobError):
    """A job was stopped before it ended by itself."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id, f"job {job_id} was terminated")


class JobTimeout(JobError):
    """A wait ended before the job did; the job goes on."""

    def __init__(self, job_id: str, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(job_id, f"job {job_id} has not finished after {seconds:g} s of waiting; it goes on")
