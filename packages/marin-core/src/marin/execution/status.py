"""Status of a step's output: `.executor_status`, a log of events whose last one is the status.

The file is what Ray-era Marin wrote: a JSON object per line with `date`, `status`, `message` and `task_id`, and some
keys of ours beside them. Marin of 2026, which writes the one word, reads such logs too; we read both. The file is at
the same time the lock of the step: it is only ever replaced if nobody else has written it since it was read
(`marin.storage.conditional`), so that the end of an attempt that has lost its lease cannot get in.
"""

import dataclasses
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from marin import storage
from marin.execution.holders import Holder
from marin.storage.conditional import read_versioned, write_versioned

logger = logging.getLogger(__name__)

STATUS_FILE = ".executor_status"

MAX_EVENTS = 200
"""Events that a log keeps; of a step that was tried more often, the oldest are dropped."""

_REMOTE_AT_ONCE = 32


class StepStatus(StrEnum):
    """How far a step's output is."""

    WAITING = "WAITING"
    """It is to run again, whatever was there before."""
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    DEP_FAILED = "DEP_FAILED"
    """A step that it depends on failed; it has not run."""
    CANCELLED = "CANCELLED"

    @property
    def is_failure(self) -> bool:
        """Whether an attempt ended without a result for a reason that may come again."""
        return self in (StepStatus.FAILED, StepStatus.DEP_FAILED)


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusEvent:
    """One change of a step's status; fields that are not set are not in the file."""

    date: str
    """Time of the event, ISO 8601 with offset."""
    status: str
    """The status from then on."""
    message: str | None = None
    """Why: the error, or the step that failed."""
    task_id: str | None = None
    """The attempt that wrote it."""
    epoch: int | None = None
    """Number of the attempt, from 1; a later attempt has a higher one."""
    version: str | None = None
    """Full digest of what identifies the step, as the attempt knew it."""
    holders: tuple[Holder, ...] | None = None
    """While it runs: the processes that keep the lease, the executor's first, then that of the job."""
    heartbeat: str | None = None
    """While it runs: when a holder last said that it is alive."""
    lease_seconds: float | None = None
    """While it runs: how long it may be silent."""
    job: str | None = None
    """The job of the cluster that runs it, where one does."""

    @classmethod
    def now(cls, status: StepStatus, **fields: Any) -> "StatusEvent":
        """An event that happens now."""
        return cls(date=timestamp(), status=status.value, **fields)

    @classmethod
    def parse(cls, line: str) -> "StatusEvent | None":
        """The event on `line`; None if it is none, or only a part of one."""
        value = _parse_line(line)
        return None if value is None else cls.from_json(value)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "StatusEvent | None":
        """The event that `to_line` has written as `value`; fields that are not known are left out."""
        known = {name: value[name] for name in _FIELDS if value.get(name) is not None}
        known.setdefault("date", "")
        try:
            if "holders" in known:
                known["holders"] = tuple(Holder(**holder) for holder in known["holders"])
            return cls(**known)
        except TypeError:
            return None

    def to_line(self) -> str:
        """The event as a line of JSON, with the four keys of old and those that are set."""
        value = {"date": self.date, "status": self.status, "message": self.message, "task_id": self.task_id}
        for name in _OWN_FIELDS:
            if (own := getattr(self, name)) is not None:
                value[name] = own
        if self.holders is not None:
            value["holders"] = [holder.to_json() for holder in self.holders]  # pyright: ignore[reportArgumentType]
        return json.dumps(value, ensure_ascii=False)


_FIELDS = tuple(field.name for field in dataclasses.fields(StatusEvent))
_OWN_FIELDS = tuple(name for name in _FIELDS[4:] if name != "holders")


class StatusLog:
    """What the status file of a step said when it was read. Of a cached step only the last line is ever looked at."""

    __slots__ = ("_data", "_event", "_last", "file_version", "status")

    def __init__(self, data: bytes = b"", file_version: str | None = None) -> None:
        """The log in `data`; without it that of a step without a file."""
        self._data = data
        self._last = _parse_last(data)
        self._event: StatusEvent | None = None
        self.file_version = file_version
        """For conditional writes; None where there is no file."""
        self.status: StepStatus | None = None if self._last is None else _STATUSES[self._last["status"]]
        """The current status; None where none is recorded or what is there is unreadable as one."""

    @property
    def last(self) -> StatusEvent | None:
        """The last event; None where there is none, or what is there is no event."""
        if self._event is None and self._last is not None:
            self._event = StatusEvent.from_json(self._last)
        return self._event

    @property
    def is_unreadable(self) -> bool:
        """Whether there is a file that holds no status."""
        return self.file_version is not None and self.status is None

    @property
    def epoch(self) -> int:
        """Number of the last attempt; 0 where none is known."""
        return (self._last.get("epoch") if self._last else None) or 0

    @property
    def version(self) -> str | None:
        """Full digest of what the last attempt was made from; None where it is not known."""
        return self._last.get("version") if self._last else None

    @property
    def lines(self) -> tuple[str, ...]:
        """The events as they stand in the file, oldest first; none where the last cannot be read."""
        if self._last is None:
            return ()
        lines = tuple(line for line in self._data.decode("utf-8", errors="replace").splitlines() if line.strip())
        if len(lines) == 1 and not lines[0].startswith("{"):
            return (json.dumps(self._last),)  # the one word of another Marin
        return lines

    @property
    def events(self) -> list[StatusEvent]:
        """All events that can be read, oldest first."""
        return [event for line in self.lines if (event := StatusEvent.parse(line)) is not None]


_STATUSES = dict(StepStatus.__members__)
_decode: Callable[[str], tuple[Any, int]] = json.JSONDecoder().raw_decode


def _parse_last(data: bytes) -> dict[str, Any] | None:
    """The last event of a log as a dict, the one word of another Marin, or None."""
    before, _, line = data.rstrip().rpartition(b"\n")
    if line.startswith(b"{"):
        return _parse_line(line.decode("utf-8", errors="replace"))
    word = line.decode("utf-8", errors="replace").strip()
    return {"date": "", "status": word} if word in _STATUSES and not before.strip() else None


def _parse_line(line: str) -> dict[str, Any] | None:
    try:
        value, end = _decode(text := line.strip())
        return value if end == len(text) and value["status"] in _STATUSES else None
    except (ValueError, KeyError, TypeError):
        return None


def seconds_between(start: str, end: str) -> float | None:
    """Seconds between two dates of events; None where one of them is none, as in logs of other programs."""
    try:
        return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    except (ValueError, TypeError):
        return None


def timestamp() -> str:
    """The current time as records have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def read_log(output_path: str) -> StatusLog:
    """The status of the output at `output_path`.

    Raises:
        StorageError: the file cannot be read, which says nothing about the status.
    """
    path = f"{output_path}/{STATUS_FILE}"
    found = read_versioned(path)
    if found is None:
        return NO_LOG
    log = StatusLog(found.data, found.version)
    if log.status is None:
        logger.warning("%s holds no valid status (%.40r): the step counts as not run", path, found.data)
    return log


NO_LOG = StatusLog()
"""The log of a step without a status file."""


def read_status(output_path: str) -> StepStatus | None:
    """The status of the output at `output_path`; None where none is recorded.

    Raises:
        StorageError: the file cannot be read, which says nothing about the status.
    """
    return read_log(output_path).status


def read_logs(output_paths: Iterable[str]) -> dict[str, StatusLog]:
    """The status of every output, as `read_log` gives it."""
    paths = list(output_paths)
    return dict(zip(paths, for_each(read_log, paths, at=paths), strict=True))


def for_each[T, R](access: Callable[[T], R], items: Sequence[T], *, at: Iterable[str]) -> list[R]:
    """The result of `access` for every item, in order; many at a time where the paths `at` are remote."""
    if all(storage.is_local(path) for path in at):
        return [access(item) for item in items]
    with ThreadPoolExecutor(_REMOTE_AT_ONCE) as pool:
        return list(pool.map(access, items))


def write_event(output_path: str, log: StatusLog, event: StatusEvent, *, in_place_of_last: bool = False) -> StatusLog:
    """Add `event` to the status file that was read as `log`; the new log.

    Args:
        output_path: the step's output.
        log: the file as it was read.
        event: the new last event.
        in_place_of_last: `event` is the last event with news, such as a heartbeat.

    Raises:
        ConflictError: somebody else has written the file since; nothing is written.
        StorageError: it cannot be written; if the answer of remote storage was lost, it may have been all the same.
    """
    kept = log.lines[:-1] if in_place_of_last else log.lines
    data = ("\n".join((*kept[-MAX_EVENTS + 1 :], event.to_line())) + "\n").encode()
    version = write_versioned(f"{output_path}/{STATUS_FILE}", data, expected=log.file_version)
    return StatusLog(data, version)
