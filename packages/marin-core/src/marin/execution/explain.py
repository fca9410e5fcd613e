"""Why a step runs: what differs from the nearest earlier step of its name, field by field."""

import json
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from marin import storage
from marin.execution.identity import HASH_LENGTH
from marin.execution.plan import Plan, PlanState
from marin.execution.records import read_step_info
from marin.execution.status import for_each

logger = logging.getLogger(__name__)

MAX_EARLIER_RECORDS = 50
"""Records of a name that are compared, the newest first."""

_MAX_SHOWN = 60
_DEFAULT_NAME = re.compile(rf".+-[0-9a-f]{{{HASH_LENGTH}}}")


def explain(plan: Plan) -> Plan:
    """`plan` with `changes` on every step that is to run; reads records of earlier runs, and writes nothing."""
    nodes = [
        step.node for step in plan.steps if step.state in (PlanState.RUN, PlanState.BLOCKED, PlanState.FAILED_BEFORE)
    ]
    earlier = EarlierRecords()
    found = [changes(node.output_path, node.version, earlier) for node in nodes]
    by_node = dict(zip(nodes, found, strict=True))
    return replace(plan, steps=tuple(replace(step, changes=by_node.get(step.node, ())) for step in plan.steps))


def changes(
    output_path: str, version: dict[str, Any], earlier: "EarlierRecords", *, before: str | None = None
) -> tuple[str, ...]:
    """What differs between `version` and the earlier record of its name that differs least; empty if there is none.

    A line per field: `lr: 0.1 -> 0.2`. Where a dependency is another one, the line says what has changed in it.

    Args:
        output_path: where the step's output lies; records are looked for beside it.
        version: what identifies the step.
        earlier: the records; give the same for many steps.
        before: ISO date; only attempts that started before it are looked at.
    """
    return nearest_difference(version, earlier.versions(output_path, before))


class EarlierRecords:
    """Records of steps beside an output; every folder is listed once."""

    def __init__(self) -> None:
        self._listed: dict[str, dict[str, list[str]]] = {}

    def versions(self, output_path: str, before: str | None = None) -> list[dict[str, Any]]:
        """Versions of other steps of the same name as that at `output_path`, a default path, the newest first.

        Args:
            output_path: the step's output.
            before: ISO date; only attempts that started before it.
        """
        folder, _, own = output_path.rstrip("/").rpartition("/")
        name = own[: -HASH_LENGTH - 1]
        paths = [storage.join(folder, child) for child in self._outputs_in(folder).get(name, []) if child != own]
        records = [record for record in for_each(_read_record, paths, at=paths) if record is not None]
        # Records of other Marins do not say when; they are older than all of ours.
        records = [record for record in records if before is None or _started(record) < before]
        records.sort(key=_started, reverse=True)
        return [record["version"] for record in records[:MAX_EARLIER_RECORDS]]

    def _outputs_in(self, folder: str) -> dict[str, list[str]]:
        if folder not in self._listed:
            outputs: dict[str, list[str]] = {}
            for child in storage.children(folder):
                if _DEFAULT_NAME.fullmatch(child):
                    outputs.setdefault(child[: -HASH_LENGTH - 1], []).append(child)
            self._listed[folder] = outputs
        return self._listed[folder]


def _started(record: dict[str, Any]) -> str:
    return str(record.get("started") or "")


def _read_record(output_path: str) -> dict[str, Any] | None:
    try:
        record: Any = read_step_info(output_path)
        return record if isinstance(record["version"], dict) else None
    except (storage.StorageError, KeyError, TypeError) as error:
        logger.debug("no record to compare with: %s", error)
        return None


def nearest_difference(version: dict[str, Any], earlier: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The shortest list of differences between `version` and one of `earlier`; the first of several wins."""
    differences = [tuple(_differences(other, version)) for other in earlier]
    return min((found for found in differences if found), key=len, default=())


def _differences(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Lines on what differs between two versions of steps of one name."""
    old_config: dict[str, Any] = old.get("config") or {}
    new_config: dict[str, Any] = new.get("config") or {}
    for key in sorted({*old_config, *new_config}):
        if old_config.get(key, _ABSENT) != new_config.get(key, _ABSENT):
            yield f"{key}: {_shown(old_config.get(key, _ABSENT))} -> {_shown(new_config.get(key, _ABSENT))}"
    for kind in ("dependencies", "pseudo_dependencies"):
        yield from _dependency_differences(old.get(kind) or [], new.get(kind) or [])


def _dependency_differences(old: Sequence[Any], new: Sequence[Any]) -> Iterator[str]:
    for index in range(max(len(old), len(new))):
        before: Any = old[index] if index < len(old) else _ABSENT
        after: Any = new[index] if index < len(new) else _ABSENT
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict) and _name_of(before) == _name_of(after):
            inner = _differences(cast("dict[str, Any]", before), cast("dict[str, Any]", after))
            yield from (f"{_name_of(after)} / {line}" for line in inner)
        else:
            yield f"dependency {index}: {_name_of(before)} -> {_name_of(after)}"


class _Absent:
    def __repr__(self) -> str:
        return "(absent)"


_ABSENT = _Absent()


def _name_of(dependency: Any) -> str:
    """Name of a dependency in a version: its own version, or, below four levels, its name and hash."""
    return str(cast("dict[str, Any]", dependency).get("name")) if isinstance(dependency, dict) else str(dependency)


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, _Absent) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."
