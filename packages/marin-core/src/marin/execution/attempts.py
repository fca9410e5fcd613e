"""One attempt to run a step: it gets the lease, runs the body in a thread or as a job, and commits how it ended."""

import logging
import time
from dataclasses import dataclass
from enum import Enum

from marin import storage
from marin.cluster.connect import current_cluster
from marin.cluster.errors import JobFailed
from marin.cluster.jobs import Job
from marin.execution.body import Body
from marin.execution.claim import Held, SettledElsewhere, claim
from marin.execution.current import CurrentStep, StepCancelled, set_current_step
from marin.execution.failures import Failure
from marin.execution.graph import Node
from marin.execution.job_body import JOB_ERROR_FILE, read_job_error
from marin.execution.keeper import KeptLease, LeaseKeeper
from marin.execution.lease import Lease, LeaseLostError
from marin.execution.progress import ProgressSink, progress_sink
from marin.execution.records import write_step_info
from marin.execution.status import StatusLog, StepStatus, read_log
from marin.execution.status_actor import Ownership
from marin.execution.step_job import step_body, step_job
from marin.execution.watch import Watch

logger = logging.getLogger(__name__)

TRACEBACK_FILE = ".executor_traceback"
"""In the output of a step that failed: the whole traceback, as text."""


class Ending(Enum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    HELD = "held"
    """It has not run: somebody else runs the step."""
    ELSEWHERE = "elsewhere"
    """It has not run, or not to its end: somebody else has brought the step to its result."""
    LOST = "lost"
    """It ran and lost its lease; what it did does not count."""
    INTERRUPTED = "interrupted"
    """The body was interrupted, as by Ctrl-C."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptSettings:
    """What all attempts of a run share."""

    lease_seconds: float
    keeper: LeaseKeeper
    watch: Watch
    experiment: str | None = None
    """The record of the run, for those of its steps."""
    ownership: Ownership | None = None
    """The optional fast path: an actor that knows who runs what."""


class Attempt:
    """Runs one step once."""

    def __init__(
        self,
        node: Node,
        planned: StatusLog,
        settings: AttemptSettings,
        *,
        on_progress: ProgressSink,
        log: StatusLog | None = None,
    ) -> None:
        """An attempt that has not begun.

        Args:
            node: the step.
            planned: its status when the run was planned.
            settings: of the run.
            on_progress: gets the progress that the body reports.
            log: its status as it was read last, if after the planning.
        """
        self.node = node
        self.ending = Ending.SUCCEEDED
        self.failure: Failure | None = None
        self.owner = ""
        """Who runs the step, if it is held."""
        self.seconds = 0.0
        self._planned = planned
        self._log = log or planned
        self._settings = settings
        self._on_progress = on_progress
        self._kept: KeptLease | None = None
        self._job: Job | None = None
        self._is_cancelled = False

    def run(self) -> "Attempt":
        """Run the step, in this thread, and record how it ended; raises nothing."""
        started = time.monotonic()
        try:
            self.ending = self._run()
        except KeyboardInterrupt:
            self.ending = Ending.INTERRUPTED
            self._commit_quietly(StepStatus.CANCELLED, "interrupted")
        except (LeaseLostError, StepCancelled) as error:
            self.ending = Ending.LOST
            logger.warning("step %s: %s", self.node.name, error)
        except BaseException as error:  # noqa: BLE001  # the edge of the thread; the scheduler reports the failure
            if self._kept is not None and self._kept.is_lost:
                self.ending = Ending.LOST
            else:
                self.ending = Ending.FAILED
                self.failure = error.failure if isinstance(error, _JobBodyFailed) else Failure.of(error)
                self._record_failure(self.failure)
        finally:
            self._release()
            self.seconds = time.monotonic() - started
        return self

    def cancel(self) -> None:
        """Record that the step was cancelled, unless it has ended, and terminate its job; for other threads."""
        self._is_cancelled = True
        self._commit_quietly(StepStatus.CANCELLED, "interrupted")
        if self._job is not None:
            self._job.terminate()

    def _run(self) -> Ending:
        claimed = claim(self.node, self._log, self._planned, self._settings.watch, self._settings.lease_seconds)
        if isinstance(claimed, Held):
            self.owner = claimed.owner
            return Ending.HELD
        if isinstance(claimed, SettledElsewhere):
            self.failure = claimed.failure
            return Ending.FAILED if claimed.failure else Ending.ELSEWHERE
        self._run_owned(claimed)
        return Ending.SUCCEEDED

    def _run_owned(self, lease: Lease) -> None:
        step = self.node.step
        current = CurrentStep(name=self.node.name, output_path=self.node.output_path, attempt=lease.epoch)
        kept = self._kept = self._settings.keeper.keep(lease, on_lost=lambda _: self._stop(current))
        if self._settings.ownership is not None:
            self._settings.ownership.take(self.node.output_path, lease.attempt_id)
        write_step_info(self.node, self._settings.experiment)
        if step.fn is not None and step.needs_job:
            self._run_job(kept)
            return
        if step.fn is not None:
            self._run_here(step_body(self.node, lease.attempt_id), kept, current)
        kept.commit(StepStatus.SUCCESS)

    def _run_here(self, body: Body, kept: KeptLease, current: CurrentStep) -> None:
        for retry in range(self.node.step.max_retries_failure + 1):
            set_current_step(current)
            progress_sink.set(self._on_progress)
            current.enter()
            try:
                body.run(kept.confirm)
                return
            except Exception as error:
                if retry == self.node.step.max_retries_failure:
                    raise
                logger.warning("step %s failed and is tried again: %s", self.node.name, Failure.of(error).summary())
            finally:
                current.leave()
                set_current_step(None)

    def _run_job(self, kept: KeptLease) -> None:
        lease = kept.lease
        job = self._job = current_cluster().submit(step_job(self.node, lease.attempt_id, lease.seconds))
        if self._is_cancelled:
            # Cancelled while the job was on its way: `cancel` has not seen it.
            job.terminate()
        self._note_job(kept, job)
        try:
            job.wait()
        except JobFailed as error:
            failure = read_job_error(storage.join(self.node.output_path, JOB_ERROR_FILE), lease.attempt_id)
            if self._has_succeeded(lease):
                # Its result is in; what the process died of came after it.
                logger.warning("the job %s of step %s failed after its success: %s", job.id, self.node.name, error)
                return
            raise _JobBodyFailed(failure or _failure_without_body(error)) from error
        if not self._has_succeeded(lease):
            # A job of several tasks leaves that to the one who knows that all have ended.
            kept.commit(StepStatus.SUCCESS)

    def _note_job(self, kept: KeptLease, job: Job) -> None:
        try:
            kept.lease.set_job(job.id)
        except LeaseLostError as error:
            # A quick job has committed already, or the keeper tells that the lease is lost.
            logger.debug("the job %s is not in the status: %s", job.id, error)
        except storage.StorageError as error:
            logger.warning("the job %s of step %s could not be recorded: %s", job.id, self.node.name, error)

    def _has_succeeded(self, lease: Lease) -> bool:
        try:
            log = read_log(self.node.output_path)
        except storage.StorageError as error:
            logger.warning("the end of step %s cannot be read: %s", self.node.name, error)
            return False
        return log.status == StepStatus.SUCCESS and log.last is not None and log.last.task_id == lease.attempt_id

    def _stop(self, current: CurrentStep) -> None:
        """Stop the body, whose lease is lost; called by the keeper."""
        current.cancel()
        if self._job is not None:
            self._job.terminate()

    def _release(self) -> None:
        if self._kept is None:
            return
        self._settings.keeper.release(self._kept)
        if self._settings.ownership is not None:
            self._settings.ownership.give_back(self.node.output_path, self._kept.lease.attempt_id)

    def _record_failure(self, failure: Failure) -> None:
        if self._kept is None:
            return
        try:
            storage.write_text(storage.join(self.node.output_path, TRACEBACK_FILE), failure.traceback)
        except storage.StorageError as error:
            logger.warning("the traceback of step %s could not be written: %s", self.node.name, error)
        self._commit_quietly(StepStatus.FAILED, failure.summary())

    def _commit_quietly(self, status: StepStatus, message: str) -> None:
        if self._kept is None:
            return
        try:
            self._kept.commit(status, message)
        except (storage.StorageError, LeaseLostError) as error:
            # What is being recorded matters more; a file that says RUNNING never passes for a result.
            logger.warning("the end of step %s could not be recorded: %s", self.node.name, error)


class _JobBodyFailed(Exception):
    """The job of a step failed; `failure` is the body's where the body could still say it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.summary())
        self.failure = failure


def _failure_without_body(error: JobFailed) -> Failure:
    """The failure of a job whose process ended without a word of the body; its log is all there is."""
    return Failure(
        type=type(error).__name__,
        message=str(error),
        location=None,
        traceback="\n".join([*error.log_tail, str(error), ""]),
    )
