"""What a run will do, before it does anything."""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from marin.execution.body import missing_outputs
from marin.execution.claim import check_version
from marin.execution.errors import PlanError, PreviousTaskFailedError
from marin.execution.graph import Node
from marin.execution.regions import RegionOverride
from marin.execution.status import NO_LOG, StatusLog, StepStatus, for_each, read_logs
from marin.execution.watch import Watch

logger = logging.getLogger(__name__)


class PlanState(StrEnum):
    """What a run does with a step."""

    CACHED = "cached"
    """It has succeeded; its output is used as it is."""
    RUN = "run"
    """It runs."""
    WAIT = "wait"
    """Another run is at it; its end is waited for."""
    FAILED_BEFORE = "failed-before"
    """It failed earlier and may not run again; the run is refused."""
    BLOCKED = "blocked"
    """It needs a step that failed earlier and may not run again."""
    DEPENDENCY = "dependency"
    """It is known only because others refer to it, and nothing that runs needs it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedStep:
    """A step and what a run does with it."""

    node: Node
    state: PlanState
    reason: str
    """Why, in a few words; for whom it waits, or what blocks it."""
    log: StatusLog
    """Its status, as it was read."""
    is_adopted: bool = False
    """Whether the output is taken although it was made from another config."""
    changes: tuple[str, ...] = ()
    """What differs from the nearest earlier record of a step of this name, where that was asked for."""

    def to_json(self) -> dict[str, Any]:
        """The fields that people and programs ask for."""
        return {
            "step": self.node.name,
            "state": self.state.value,
            "reason": self.reason,
            "changes": list(self.changes),
            "output_path": self.node.output_path,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a run does with every step, dependencies before dependents."""

    steps: tuple[PlannedStep, ...]
    region_overrides: tuple[RegionOverride, ...] = ()
    """Paths in other regions that were allowed."""

    def in_state(self, state: PlanState) -> list[Node]:
        """The steps in `state`, dependencies before dependents."""
        return [step.node for step in self.steps if step.state == state]

    @property
    def to_run(self) -> list[Node]:
        """The steps that run, here or in another run that is waited for."""
        return [step.node for step in self.steps if step.state in (PlanState.RUN, PlanState.WAIT)]

    def refuse_failed_before(self) -> None:
        """Raise `PreviousTaskFailedError` if a step failed earlier and may not run again."""
        failed = [step for step in self.steps if step.state == PlanState.FAILED_BEFORE]
        if failed:
            listing = "; ".join(f"{step.node.name} ({step.reason}, {step.node.output_path})" for step in failed)
            raise PreviousTaskFailedError(
                f"these steps failed earlier and force_run_failed is off: {listing}; run with --force_run_failed true"
            )


def make_plan(
    nodes: Sequence[Node],
    targets: Iterable[Node],
    *,
    run_only: Sequence[str] | None = None,
    force_run_failed: bool = True,
    adopt: Sequence[str] = (),
    watch: Watch | None = None,
) -> Plan:
    """What a run for `targets` does with each of `nodes`; reads the status of every step that a target needs.

    A step runs if it has not succeeded and is a target, or a step that runs depends on it.

    Args:
        nodes: all steps, dependencies before dependents.
        targets: steps whose outputs are wanted.
        run_only: regular expressions, searched in the names of `nodes`; those that match take the place of `targets`.
        force_run_failed: whether steps that failed earlier run again.
        adopt: regular expressions; steps whose names match take an output that was made from another config.
        watch: what is known of the owners of running steps.

    Raises:
        PlanError: a regular expression is malformed.
        ReusedPathError: an output was made from another config, or is being made from one.
        StorageError: a status cannot be read.
    """
    wanted = set(targets) if run_only is None else _matching(nodes, run_only, "run_only")
    reachable = _with_dependencies(wanted)
    known = read_logs(node.output_path for node in nodes if node in reachable)
    logs = {node: known[node.output_path] for node in nodes if node in reachable}
    missing = _missing_outputs(node for node, log in logs.items() if log.status == StepStatus.SUCCESS)
    needed = set(wanted)
    for node in reversed(logs):
        if node in needed and (logs[node].status != StepStatus.SUCCESS or node in missing):
            needed.update(node.dependencies)
    unreached = "no step waits for it" if run_only is None else "not selected by run_only"
    planner = _Planner(logs, needed, missing, _matching(nodes, adopt, "adopt"), force_run_failed, watch or Watch())
    return Plan(steps=tuple(planner.planned(node) if node in logs else _unplanned(node, unreached) for node in nodes))


def _unplanned(node: Node, reason: str) -> PlannedStep:
    return PlannedStep(node=node, state=PlanState.DEPENDENCY, reason=reason, log=NO_LOG)


@dataclass(frozen=True, slots=True)
class _Planner:
    """Decides on one step after the other, dependencies before dependents."""

    logs: dict[Node, StatusLog]
    needed: set[Node]
    missing: dict[Node, list[str]]
    adopted: set[Node]
    force_run_failed: bool
    watch: Watch
    blockers: dict[Node, Node] = field(default_factory=dict[Node, Node])
    """Steps that cannot run, with the one that failed before."""

    def planned(self, node: Node) -> PlannedStep:
        log = self.logs[node]
        if log.status == StepStatus.SUCCESS and node not in self.missing:
            if node not in self.adopted:
                check_version(node, log)
                return PlannedStep(node=node, state=PlanState.CACHED, reason="has succeeded", log=log)
            return PlannedStep(node=node, state=PlanState.CACHED, reason="adopted as it is", log=log, is_adopted=True)
        if node not in self.needed:
            state, reason = PlanState.DEPENDENCY, "the steps that use it are cached"
        else:
            state, reason = self._uncached(node, log)
        return PlannedStep(node=node, state=state, reason=reason, log=log)

    def _uncached(self, node: Node, log: StatusLog) -> tuple[PlanState, str]:
        status = log.status
        if not self.force_run_failed and status is not None and status.is_failure:
            self.blockers[node] = node
            return PlanState.FAILED_BEFORE, f"status {status.value}"
        if self.blockers:
            blocker = next((self.blockers[other] for other in node.dependencies if other in self.blockers), None)
            if blocker is not None:
                self.blockers[node] = blocker
                return PlanState.BLOCKED, f"needs {blocker.name}, which failed earlier"
        if log.file_version is None:
            return PlanState.RUN, "no result yet"
        owner = self.watch.owner(node.output_path, log)
        if owner is not None:
            check_version(node, log)
            return PlanState.WAIT, f"{owner} runs it"
        return PlanState.RUN, self._reason_to_run(node, log)

    def _reason_to_run(self, node: Node, log: StatusLog) -> str:
        if node in self.missing:
            return f"its declared output {', '.join(self.missing[node])} is missing"
        if log.is_unreadable:
            return "its status is unreadable"
        if log.status == StepStatus.RUNNING:
            return "status RUNNING, left by a run that did not end"
        if log.status == StepStatus.WAITING:
            return "marked to run again"
        return f"status {log.status}: it runs again"


def _missing_outputs(nodes: Iterable[Node]) -> dict[Node, list[str]]:
    """Declared outputs that are not there, of steps that have succeeded."""
    declaring = [node for node in nodes if node.step.outputs]
    found = for_each(
        lambda node: missing_outputs(node.output_path, node.step.outputs),
        declaring,
        at=[node.output_path for node in declaring],
    )
    return {node: missing for node, missing in zip(declaring, found, strict=True) if missing}


def _with_dependencies(nodes: Iterable[Node]) -> set[Node]:
    reached = set(nodes)
    stack = list(reached)
    while stack:
        new = [dependency for dependency in stack.pop().dependencies if dependency not in reached]
        reached.update(new)
        stack.extend(new)
    return reached


def _matching(nodes: Sequence[Node], patterns: Sequence[str], option: str) -> set[Node]:
    matching: set[Node] = set()
    for pattern in patterns:
        try:
            expression = re.compile(pattern)
        except re.error as error:
            raise PlanError(f"{option}: {pattern!r} is not a regular expression: {error}") from error
        found = {node for node in nodes if expression.search(node.name)}
        if not found:
            logger.warning("%s: no step has a name that matches %r", option, pattern)
        matching |= found
    return matching
