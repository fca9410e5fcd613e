"""What the page of an experiment shows, as data.

`PageData.to_json` is what the page reads: the static page has it inside, the live one asks its server for `/data.json`.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from marin.execution.status import StepStatus

MAX_EXACT_INTEGER = 2**53 - 1
"""The largest integer that a browser reads as it is written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepData:
    """One step of the experiment."""

    id: int
    """Tells the step from the others; dependencies name it."""
    name: str
    """Name of the step, for people."""
    state: StepStatus
    """How far it is."""
    cached: bool = False
    """Whether its result was there before this run."""
    output_path: str
    """Where its result is, or will be."""
    dependencies: tuple[int, ...] = ()
    """Ids of the steps that it needs."""
    started: str | None = None
    """Start of its last attempt, ISO 8601 with offset."""
    ended: str | None = None
    """End of its last attempt, ISO 8601 with offset."""
    seconds: float | None = None
    """How long its last attempt took."""
    attempts: int = 0
    """How often it was started."""
    description: str | None = None
    """What it is for."""
    fn_name: str = ""
    """The function that it calls."""
    config: Any = None
    """The config of the function, as JSON."""
    changes: tuple[str, ...] = ()
    """Why it ran again: the fields that differ from the earlier run, such as `lr: 0.1 -> 0.2`."""
    error: str | None = None
    """Why it failed, in one line."""
    traceback: str | None = None
    """Where it failed."""
    owner: str | None = None
    """Who runs it."""
    jobs: tuple[str, ...] = ()
    """The jobs of the cluster that ran it."""
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    """Paths of its text files (logs, records) by label; the live page serves these and no others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PageData:
    """An experiment, or one run of it."""

    title: str
    """Name of the experiment."""
    description: str | None = None
    """What it is for."""
    prefix: str
    """Folder that the outputs are in."""
    record: str
    """Path of the experiment's record; the static page is in the same folder."""
    generated: str
    """When the data were gathered, ISO 8601 with offset."""
    live: bool = False
    """Whether a server answers for later data."""
    provenance: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """How it was run (command, commit, versions), as JSON."""
    steps: tuple[StepData, ...]
    """Its steps, in the order in which the page lists them."""

    def to_json(self) -> dict[str, Any]:
        """The data as JSON values that every reader takes: numbers that it would not read exactly are strings."""
        return {entry.name: readable_json(_plain(getattr(self, entry.name))) for entry in dataclasses.fields(self)}


def dump_json(value: Any) -> str:
    """`value`, which `to_json` gave, as JSON text of ASCII characters: text of any script and broken text alike."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def readable_json(value: Any) -> Any:
    """`value` with what JSON lacks (NaN, infinities) and integers that browsers would round, as strings."""
    if isinstance(value, dict):
        return {str(key): readable_json(item) for key, item in cast(dict[Any, Any], value).items()}
    if isinstance(value, list | tuple):
        return [readable_json(item) for item in cast(list[Any], value)]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and abs(value) > MAX_EXACT_INTEGER:
        return str(value)
    return value


def _plain(value: Any) -> Any:
    """A field's value in dicts and lists. Unlike `dataclasses.asdict`, it does not copy the configs."""
    if isinstance(value, StepData):
        return {entry.name: _plain(getattr(value, entry.name)) for entry in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in cast(tuple[Any, ...], value)]
    if isinstance(value, Mapping):
        return dict(cast(Mapping[str, Any], value))
    return value
