"""Tells whether the owner of a step is alive, from what it leaves in the status file.

The clocks of machines differ, so a time written by another one proves little. An owner on this machine is asked for
directly (its process lives or not). Any other counts as dead once its file has not changed for as long as its lease
says, by the clock of the process that looks. A time in the file only serves to recognise what is left of long ago.
"""

import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from marin import storage
from marin.execution.lease import DEFAULT_LEASE_SECONDS
from marin.execution.status import STATUS_FILE, StatusLog, StepStatus

MAX_CLOCK_SKEW_SECONDS = 300.0
"""How much clocks of machines may differ: a heartbeat that is older than its lease by this much is one of long ago."""

FOREIGN_LOCK_FILE = f"{STATUS_FILE}.lock"
"""Lock of Marin's own executor, beside the status: JSON with `worker_id` and `timestamp`."""

_FOREIGN_LEASE_SECONDS = 90.0


class Watch:
    """Remembers since when status files have not changed."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, wall_clock: Callable[[], float] = time.time
    ) -> None:
        """A watch that has seen nothing.

        Args:
            clock: seconds that only go forward.
            wall_clock: seconds since 1970.
        """
        self._clock = clock
        self._wall_clock = wall_clock
        self._seen: dict[str, tuple[str | None, float]] = {}

    def owner(self, output_path: str, log: StatusLog) -> str | None:
        """Who runs the step whose status was read as `log`, in words; None if nobody does, so that it may be taken.

        Raises:
            StorageError: a file beside the status cannot be read.
        """
        if log.is_unreadable:
            return self._unreadable(output_path, STATUS_FILE, log.file_version, DEFAULT_LEASE_SECONDS)
        last = log.last
        if last is None or log.status != StepStatus.RUNNING:
            self._seen.pop(output_path, None)
            return None
        if last.holders is None or last.lease_seconds is None:
            return self._foreign_owner(output_path)
        if all(holder.is_dead() for holder in last.holders):
            return None
        if self._is_silent(output_path, log.file_version, last.lease_seconds, _seconds_of(last.heartbeat)):
            return None
        return f"{last.holders[-1]} (attempt {log.epoch})"

    def _is_silent(self, path: str, file_version: str | None, seconds: float, heartbeat: float | None) -> bool:
        if heartbeat is not None and self._wall_clock() - heartbeat > seconds + MAX_CLOCK_SKEW_SECONDS:
            return True
        version, since = self._seen.get(path, (None, 0.0))
        if version is None or version != file_version:
            self._seen[path] = (file_version, self._clock())
            return False
        return self._clock() - since > seconds

    def _unreadable(self, output_path: str, name: str, file_version: str | None, seconds: float) -> str | None:
        """Whoever wrote a file that cannot be read; nobody, once it has been as it is for `seconds`."""
        path = storage.join(output_path, name)
        written = storage.modified(path)
        if written is None or self._is_silent(output_path, file_version, seconds, None):
            return None
        if self._wall_clock() - written > seconds:
            return None
        return f"the writer of {path}, which is unreadable and younger than {seconds:g} s"

    def _foreign_owner(self, output_path: str) -> str | None:
        path = storage.join(output_path, FOREIGN_LOCK_FILE)
        try:
            text = storage.read_text(path)
        except storage.StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            if isinstance(error.__cause__, UnicodeDecodeError):
                return self._unreadable(output_path, FOREIGN_LOCK_FILE, "not text", _FOREIGN_LEASE_SECONDS)
            raise
        try:
            lock: Any = json.loads(text)
            worker, heartbeat = str(lock["worker_id"]), float(lock["timestamp"])
        except (KeyError, TypeError, ValueError):
            return self._unreadable(output_path, FOREIGN_LOCK_FILE, text, _FOREIGN_LEASE_SECONDS)
        return None if self._is_silent(output_path, text, _FOREIGN_LEASE_SECONDS, heartbeat) else f"worker {worker}"


def _seconds_of(date: str | None) -> float | None:
    """Seconds since 1970 of an ISO date; None where it is none."""
    try:
        return datetime.fromisoformat(date).timestamp() if date else None
    except ValueError:
        return None
