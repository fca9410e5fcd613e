"""Status of a step's output: `.executor_status` holds one token, `.executor_events` what happened, a line each."""

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from marin import storage

logger = logging.getLogger(__name__)

STATUS_FILE = ".executor_status"
EVENTS_FILE = ".executor_events"

_LOCAL_SCHEMES = ("file", "local")
_REMOTE_AT_ONCE = 32


class StepStatus(StrEnum):
    """How far a step's output is."""

    WAITING = "WAITING"
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
    """One change of a step's status."""

    date: str
    """Time of the event, ISO 8601 with offset."""
    status: str
    """The status from then on."""
    message: str | None = None
    """Why: the error, or the step that failed."""


def read_status(output_path: str) -> StepStatus | None:
    """The status of the output at `output_path`; None where none is recorded or what is there is unreadable as one.

    Raises:
        StorageError: the file cannot be read, which says nothing about the status.
    """
    path = storage.join(output_path, STATUS_FILE)
    text = _read_if_there(path)
    if text is None:
        return None
    token = _latest_token(text)
    if token is not None and token in StepStatus.__members__:
        return StepStatus[token]
    logger.warning("%s holds no valid status (%.40r): the step counts as not run", path, text)
    return None


def read_statuses(output_paths: Iterable[str]) -> dict[str, StepStatus | None]:
    """The status of every output, as `read_status` gives it."""
    paths = list(output_paths)
    return dict(zip(paths, for_each(read_status, paths, at=paths), strict=True))


def for_each[T, R](access: Callable[[T], R], items: Sequence[T], *, at: Iterable[str]) -> list[R]:
    """The result of `access` for every item, in order; many at a time where the paths `at` are remote."""
    if all(storage.scheme(path) in _LOCAL_SCHEMES for path in at):
        return [access(item) for item in items]
    with ThreadPoolExecutor(_REMOTE_AT_ONCE) as pool:
        return list(pool.map(access, items))


def write_status(output_path: str, status: StepStatus, message: str | None = None) -> None:
    """Record `status`, the event first: an output counts as done only by the last byte that is written.

    Raises:
        StorageError: it cannot be written.
    """
    event = StatusEvent(date=datetime.now(UTC).isoformat(timespec="milliseconds"), status=status.value, message=message)
    _append_line(storage.join(output_path, EVENTS_FILE), json.dumps(asdict(event), ensure_ascii=False))
    storage.write_text(storage.join(output_path, STATUS_FILE), status.value)


def read_events(output_path: str) -> list[StatusEvent]:
    """What happened to the output at `output_path`, oldest first; also from logs that Ray-era Marin wrote.

    Raises:
        StorageError: the file cannot be read.
    """
    text = _read_if_there(storage.join(output_path, EVENTS_FILE))
    if text is None:
        text = _read_if_there(storage.join(output_path, STATUS_FILE)) or ""
    return [event for line in text.splitlines() if (event := _parse_event(line)) is not None]


def _read_if_there(path: str) -> str | None:
    try:
        return storage.read_text(path)
    except storage.StorageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        if isinstance(error.__cause__, UnicodeDecodeError):
            return "\N{REPLACEMENT CHARACTER}"
        raise


def _latest_token(text: str) -> str | None:
    """The one token, or the status of the last whole event of a log."""
    stripped = text.strip()
    if not stripped.startswith("{"):
        return stripped
    events = [event for line in stripped.splitlines() if (event := _parse_event(line)) is not None]
    return events[-1].status if events else None


def _parse_event(line: str) -> StatusEvent | None:
    try:
        value: Any = json.loads(line)
        return StatusEvent(date=str(value.get("date")), status=str(value["status"]), message=value.get("message"))
    except (ValueError, KeyError, AttributeError, TypeError):
        return None


def _append_line(path: str, line: str) -> None:
    if storage.scheme(path) not in _LOCAL_SCHEMES:
        # Object stores cannot append.
        storage.write_text(path, f"{_read_if_there(path) or ''}{line}\n")
        return
    fs, native = storage.filesystem(path)
    try:
        fs.makedirs(native.rsplit("/", 1)[0], exist_ok=True)
        with fs.open(native, "ab") as stream:
            stream.write(f"{line}\n".encode())
    except OSError as error:
        raise storage.StorageError(f"cannot write {path}: {error.strerror or error}") from error
