"""What a run will do, before it does anything."""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from marin.execution.errors import PlanError, PreviousTaskFailedError
from marin.execution.graph import Node
from marin.execution.status import StepStatus, read_statuses

logger = logging.getLogger(__name__)


class PlanState(StrEnum):
    """What a run does with a step."""

    CACHED = "cached"
    """It has succeeded; its output is used as it is."""
    RUN = "run"
    """It runs."""
    FAILED_BEFORE = "failed-before"
    """It failed earlier and may not run again; the run is refused."""
    DEPENDENCY = "dependency"
    """It is known only because others refer to it, and nothing that runs needs it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedStep:
    """A step and what a run does with it."""

    node: Node
    state: PlanState
    reason: str
    """Why, in a few words."""

    def to_json(self) -> dict[str, Any]:
        """The fields that people and programs ask for."""
        return {
            "step": self.node.name,
            "state": self.state.value,
            "reason": self.reason,
            "output_path": self.node.output_path,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a run does with every step, dependencies before dependents."""

    steps: tuple[PlannedStep, ...]

    def in_state(self, state: PlanState) -> list[Node]:
        """The steps in `state`, dependencies before dependents."""
        return [step.node for step in self.steps if step.state == state]

    @property
    def to_run(self) -> list[Node]:
        """The steps that run."""
        return self.in_state(PlanState.RUN)

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
) -> Plan:
    """What a run for `targets` does with each of `nodes`; reads the status of every step that a target needs.

    A step runs if it has not succeeded and is a target, or a step that runs depends on it.

    Args:
        nodes: all steps, dependencies before dependents.
        targets: steps whose outputs are wanted.
        run_only: regular expressions, searched in the names of `nodes`; those that match take the place of `targets`.
        force_run_failed: whether steps that failed earlier run again.

    Raises:
        PlanError: a regular expression is malformed.
        StorageError: a status cannot be read.
    """
    wanted = set(targets) if run_only is None else _matching(nodes, run_only)
    reachable = _with_dependencies(wanted)
    statuses = read_statuses(node.output_path for node in nodes if node in reachable)
    needed = set(wanted)
    for node in reversed(nodes):
        if node in needed and statuses[node.output_path] != StepStatus.SUCCESS:
            needed.update(node.dependencies)

    def planned(node: Node) -> PlannedStep:
        if node not in reachable:
            reason = "no step waits for it" if run_only is None else "not selected by run_only"
            return PlannedStep(node=node, state=PlanState.DEPENDENCY, reason=reason)
        state, reason = _state(statuses[node.output_path], node in needed, force_run_failed)
        return PlannedStep(node=node, state=state, reason=reason)

    return Plan(steps=tuple(planned(node) for node in nodes))


def _state(status: StepStatus | None, is_needed: bool, force_run_failed: bool) -> tuple[PlanState, str]:
    if status == StepStatus.SUCCESS:
        return PlanState.CACHED, "has succeeded"
    if not is_needed:
        return PlanState.DEPENDENCY, "the steps that use it are cached"
    if status is None:
        return PlanState.RUN, "no result yet"
    if status.is_failure and not force_run_failed:
        return PlanState.FAILED_BEFORE, f"status {status.value}"
    if status == StepStatus.RUNNING:
        return PlanState.RUN, "status RUNNING, left by a run that did not end"
    return PlanState.RUN, f"status {status.value}: it runs again"


def _with_dependencies(nodes: Iterable[Node]) -> set[Node]:
    reached = set(nodes)
    stack = list(reached)
    while stack:
        new = [dependency for dependency in stack.pop().dependencies if dependency not in reached]
        reached.update(new)
        stack.extend(new)
    return reached


def _matching(nodes: Sequence[Node], patterns: Sequence[str]) -> set[Node]:
    matching: set[Node] = set()
    for pattern in patterns:
        try:
            expression = re.compile(pattern)
        except re.error as error:
            raise PlanError(f"run_only: {pattern!r} is not a regular expression: {error}") from error
        found = {node for node in nodes if expression.search(node.name)}
        if not found:
            logger.warning("run_only: no step has a name that matches %r", pattern)
        matching |= found
    return matching
