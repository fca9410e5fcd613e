"""The body of a step in the process of its job: it shares the lease and commits the result itself.

So a job lives on when its executor dies: it keeps the lease, and whoever comes next waits for it and finds its result.
In a job of several tasks, such as the hosts of a TPU slice, all run the body, the first keeps the lease, and the
executor commits when all have ended.
"""

import logging
import os
from typing import Any

from marin import storage
from marin.cluster.jobs import IRIS_TASK_VARIABLE, current_replica
from marin.execution.body import Body
from marin.execution.current import CurrentStep, set_current_step
from marin.execution.failures import Failure
from marin.execution.keeper import LeaseKeeper
from marin.execution.lease import Lease
from marin.execution.status import StepStatus

logger = logging.getLogger(__name__)

JOB_ERROR_FILE = ".executor_job_error"
"""In the output of a step whose job failed: the exception, as JSON, for the executor."""

LEASE_LOST_EXIT_STATUS = 75
"""Exit status of a job's process that lost its lease: EX_TEMPFAIL of sysexits.h."""


def run_job_body(body: Body, attempt_id: str, lease_seconds: float) -> None:
    """Run `body` in a job and commit its success; an exception is left for the executor in a file, then raised.

    Raises:
        LeaseLostError: the attempt does not own its step any more.
        BaseException: what the body raises.
    """
    replica = current_replica()
    if replica.index > 0:
        body.function(body.config)
        return
    lease = Lease.join(body.output_path, attempt_id)
    if lease is None:
        logger.info("the attempt has succeeded already: this is another process of its job")
        return
    current = CurrentStep(name=body.output_path, output_path=body.output_path, attempt=lease.epoch)
    keeper = LeaseKeeper(lease_seconds)
    kept = keeper.keep(lease, on_lost=lambda reason: _stop(current, reason))
    set_current_step(current)
    current.enter()
    try:
        body.run(kept.confirm)
        current.leave()
        if replica.count == 1:
            kept.commit(StepStatus.SUCCESS)
    except BaseException as error:
        current.leave()
        failure = Failure.of(error)
        _leave_error(failure, storage.join(body.output_path, JOB_ERROR_FILE), attempt_id)
        if isinstance(error, SystemExit):
            # Some back ends take exit status 0 for success, and the body has not returned.
            raise RuntimeError(failure.error_line()) from error
        raise
    finally:
        set_current_step(None)
        keeper.release(kept)
        keeper.close()


def _stop(current: CurrentStep, reason: str) -> None:
    if IRIS_TASK_VARIABLE in os.environ:
        # The process is the step's alone, and a body may not listen.
        logger.error("the process ends: %s", reason)
        os._exit(LEASE_LOST_EXIT_STATUS)
    current.cancel()


def _leave_error(failure: Failure, path: str, attempt_id: str) -> None:
    try:
        storage.write_json(path, {"attempt": attempt_id, **failure.to_json()})
    except storage.StorageError as error:
        logger.warning("the executor cannot be told of %s: %s", failure.error_line(), error)


def read_job_error(path: str, attempt_id: str) -> Failure | None:
    """What the job left at `path`; None if this attempt left nothing, as when its process was killed."""
    try:
        value: Any = storage.read_json(path)
        return Failure.from_json(value) if value["attempt"] == attempt_id else None
    except (storage.StorageError, KeyError, TypeError) as error:
        logger.debug("no error of the job at %s: %s", path, error)
        return None
