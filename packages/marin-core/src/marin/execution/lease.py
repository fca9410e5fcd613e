"""The right of one attempt to run a step and to commit its result.

An attempt becomes the owner by writing the step's status file over what it has read there, and stays it as long as it
does so again every now and then. Every write of an owner is conditional on the file still being the owner's, the one
that commits the result included: an owner that was taken for dead, while it was paused or cut off, finds another
attempt in the file and cannot get its result in. No two attempts of one epoch exist, and each epoch commits once.
"""

import logging
import os
import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Self

from marin import storage
from marin.errors import MarinError
from marin.execution.holders import Holder
from marin.execution.status import StatusEvent, StatusLog, StepStatus, read_log, timestamp, write_event
from marin.storage.conditional import ConflictError

logger = logging.getLogger(__name__)

DEFAULT_LEASE_SECONDS = 90.0
"""How long an owner on another machine may be silent before its step is taken over."""


class LeaseLostError(MarinError):
    """The attempt does not own its step any more; what it has done does not count."""


class Lease:
    """One attempt's ownership of a step, shared by the executor and the process of the step's job."""

    def __init__(self, output_path: str, log: StatusLog) -> None:
        """The lease that the last event of `log` stands for; made by `acquire` and `join`."""
        assert log.last is not None
        assert log.last.task_id is not None
        self.output_path = output_path
        self.attempt_id = log.last.task_id
        self.epoch = log.epoch
        self.seconds = log.last.lease_seconds or DEFAULT_LEASE_SECONDS
        self._log = log
        self._final: StatusEvent | None = None
        self._lock = threading.Lock()
        self._pid = os.getpid()

    @classmethod
    def acquire(
        cls,
        output_path: str,
        log: StatusLog,
        *,
        version: str,
        seconds: float = DEFAULT_LEASE_SECONDS,
        holder: Holder | None = None,
    ) -> Self:
        """Become the owner of the step whose status was read as `log`.

        Args:
            output_path: the step's output.
            log: its status; the caller has made sure that nobody holds it.
            version: full digest of what identifies the step.
            seconds: how long the owner may be silent.
            holder: the process that keeps the lease; this one by default.

        Raises:
            ConflictError: somebody else has written the status since.
            StorageError: it cannot be written.
        """
        now = timestamp()
        event = StatusEvent(
            date=now,
            status=StepStatus.RUNNING.value,
            task_id=uuid.uuid4().hex,
            epoch=log.epoch + 1,
            version=version,
            holders=(holder or Holder.current(),),
            heartbeat=now,
            lease_seconds=seconds,
        )
        try:
            return cls(output_path, write_event(output_path, log, event))
        except ConflictError:
            raise
        except storage.StorageError:
            # The answer may be what was lost, and not the write.
            current = read_log(output_path)
            if current.last == event:
                return cls(output_path, current)
            raise

    @classmethod
    def join(cls, output_path: str, attempt_id: str) -> "Self | None":
        """Share the lease of an attempt, as the process of its job; None if the attempt has succeeded already.

        Raises:
            LeaseLostError: another attempt owns the step now, or this one was ended.
            StorageError: the status cannot be read or written.
        """
        log = read_log(output_path)
        last = log.last
        if last is None or last.task_id != attempt_id:
            raise LeaseLostError(_lost_message(output_path, attempt_id, log))
        if log.status == StepStatus.SUCCESS:
            return None
        lease = cls(output_path, log)
        lease._update(lambda event: replace(event, holders=(*(event.holders or ())[:1], Holder.current())))
        return lease

    def refresh(self) -> None:
        """Say that the owner is alive.

        Raises:
            LeaseLostError: the step has another owner, or the attempt was ended.
            StorageError: the status cannot be read or written; whether the lease still holds is not known.
        """
        self._update(lambda event: event)

    def set_job(self, job_id: str) -> None:
        """Record the job that runs the step; raises as `refresh`."""
        self._update(lambda event: replace(event, job=job_id))

    def commit(self, status: StepStatus, message: str | None = None) -> None:
        """End the attempt with `status`, if it still owns the step.

        Raises:
            LeaseLostError: it does not; nothing is written.
            StorageError: the status cannot be read or written; whether it was is not known.
        """
        with self._lock:
            # The same event each time: a second try must know the first one again if that has arrived.
            if self._final is None or self._final.status != status:
                self._final = StatusEvent.now(status, message=message, task_id=self.attempt_id, epoch=self.epoch)
            final = self._final
            self._write(lambda last: replace(final, version=last.version, job=last.job), in_place_of_last=False)

    def _update(self, change: Callable[[StatusEvent], StatusEvent]) -> None:
        with self._lock:
            self._write(lambda event: replace(change(event), heartbeat=timestamp()), in_place_of_last=True)

    def _write(self, change: Callable[[StatusEvent], StatusEvent], *, in_place_of_last: bool) -> None:
        """Write `change(last event)`; on a conflict, over what the same attempt has written from another process."""
        log = self._log
        while True:
            event = change(self._owned(log))
            try:
                self._log = write_event(self.output_path, log, event, in_place_of_last=in_place_of_last)
                return
            except ConflictError:
                log = read_log(self.output_path)
                if log.last == event:
                    # An earlier try has arrived although its answer has not.
                    self._log = log
                    return

    def _owned(self, log: StatusLog) -> StatusEvent:
        if os.getpid() != self._pid:
            raise LeaseLostError(f"the lease of {self.output_path} belongs to the process that forked this one")
        last = log.last
        if last is None or last.task_id != self.attempt_id or log.status != StepStatus.RUNNING:
            raise LeaseLostError(_lost_message(self.output_path, self.attempt_id, log))
        return last


def _lost_message(output_path: str, attempt_id: str, log: StatusLog) -> str:
    last = log.last
    if last is None:
        now = "its status is gone or unreadable"
    elif last.task_id == attempt_id:
        now = f"the attempt has ended as {last.status}"
    else:
        by = f" by {last.holders[-1]}" if last.holders else ""
        now = f"attempt {log.epoch} is {last.status}{by}"
    return f"this attempt does not own {output_path} any more: {now}"
