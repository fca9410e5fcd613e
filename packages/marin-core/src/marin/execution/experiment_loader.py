"""Gathers what the page of an experiment shows: its record, and how far its steps are now."""

import os
from typing import Any

from marin import storage
from marin.errors import UsageError
from marin.execution.attempts import TRACEBACK_FILE
from marin.execution.explain import EarlierRecords, changes
from marin.execution.page.data import PageData, StepData
from marin.execution.records import INFO_FILE
from marin.execution.status import (
    STATUS_FILE,
    StatusEvent,
    StatusLog,
    StepStatus,
    for_each,
    read_log,
    seconds_between,
    timestamp,
)
from marin.execution.watch import Watch

_PROVENANCE = ("created_date", "ended_date", "command", "git_commit", "git_dirty", "user", "host", "python", "packages")


class ExperimentLoader:
    """Reads one experiment again and again; what cannot change is read once."""

    def __init__(self, record_path: str) -> None:
        """A loader of the experiment whose record is at `record_path`."""
        self._path = record_path
        self._watch = Watch()
        self._earlier = EarlierRecords()
        self._changes: dict[tuple[str, str], tuple[str, ...]] = {}

    def load(self, *, live: bool = False) -> PageData:
        """The experiment as it is now.

        Args:
            live: whether the page can ask for later data.

        Raises:
            StorageError: the record or a status cannot be read.
            UsageError: it is not the record of an experiment.
        """
        record: Any = storage.read_json(self._path)
        try:
            infos: list[dict[str, Any]] = record["steps"]
            paths = [str(info["output_path"]) for info in infos]
            ids = {path: index for index, path in enumerate(paths)}
            logs = for_each(read_log, paths, at=paths)
            steps = tuple(self._step(info, log, ids) for info, log in zip(infos, logs, strict=True))
        except (KeyError, TypeError) as error:
            raise UsageError(f"{self._path} is not the record of an experiment: {error!r} is missing in it") from error
        return PageData(
            title=os.path.basename(self._path).removesuffix(".json"),
            description=record.get("description"),
            prefix=str(record.get("prefix")),
            record=self._path,
            generated=timestamp(),
            live=live,
            provenance={key: record[key] for key in _PROVENANCE if record.get(key) is not None},
            steps=steps,
        )

    def _step(self, info: dict[str, Any], log: StatusLog, ids: dict[str, int]) -> StepData:
        path = str(info["output_path"])
        events = log.events
        starts = [event for event in events if event.status == StepStatus.RUNNING]
        start = starts[-1] if starts else None
        owner = self._watch.owner(path, log)
        state = self._state(log, owner)
        ended = events[-1].date if events and state not in (StepStatus.RUNNING, StepStatus.WAITING) else None
        return StepData(
            id=ids[path],
            name=str(info["name"]),
            state=state,
            cached=bool(info.get("cached")),
            output_path=path,
            dependencies=tuple(ids[other] for other in info.get("dependencies") or () if other in ids),
            started=(start.date or None) if start else None,
            ended=ended or None,
            seconds=_seconds(start, ended),
            attempts=log.epoch,
            description=info.get("description"),
            fn_name=str(info.get("fn_name")),
            config=info.get("config"),
            changes=self._changes_of(info, path, start),
            error=self._error(log, state),
            traceback=_traceback(path, state),
            owner=owner,
            jobs=tuple(dict.fromkeys(event.job for event in events if event.job)),
            files=_files(path, log, state),
        )

    def _state(self, log: StatusLog, owner: str | None) -> StepStatus:
        if log.status == StepStatus.RUNNING and owner is None:
            return StepStatus.CANCELLED
        return log.status or StepStatus.WAITING

    def _error(self, log: StatusLog, state: StepStatus) -> str | None:
        if log.status == StepStatus.RUNNING and state == StepStatus.CANCELLED:
            return "the run that ran it did not end"
        if log.last is None or not (state.is_failure or state == StepStatus.CANCELLED):
            return None
        return log.last.message

    def _changes_of(self, info: dict[str, Any], path: str, start: StatusEvent | None) -> tuple[str, ...]:
        before = start.date if start else timestamp()
        key = (path, before if start else "")
        if key not in self._changes:
            self._changes[key] = changes(path, info["version"], self._earlier, before=before)
        return self._changes[key]


def _seconds(start: StatusEvent | None, ended: str | None) -> float | None:
    return seconds_between(start.date, ended) if start and ended else None


def _traceback(output_path: str, state: StepStatus) -> str | None:
    if state != StepStatus.FAILED:
        return None
    path = storage.join(output_path, TRACEBACK_FILE)
    return storage.read_text(path) if storage.exists(path) else None


def _files(output_path: str, log: StatusLog, state: StepStatus) -> dict[str, str]:
    """Text files of a step by label, those that there should be."""
    if log.file_version is None:
        return {}
    names = {"record": INFO_FILE, "events": STATUS_FILE}
    if state == StepStatus.FAILED:
        names["traceback"] = TRACEBACK_FILE
    return {label: storage.join(output_path, name) for label, name in names.items()}
