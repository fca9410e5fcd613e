"""What a run shows: bars on a terminal, one line per event elsewhere, a summary at the end."""

import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import click

from marin import storage
from marin.cli.output import error_console, print_table
from marin.execution.attempts import TRACEBACK_FILE
from marin.execution.errors import StepFailed
from marin.execution.experiment import RunResult
from marin.execution.graph import Node
from marin.execution.plan import Plan, PlannedStep, PlanState
from marin.execution.scheduler import Observer

if TYPE_CHECKING:
    # Rich takes longer to import than a cached run does to end.
    from rich.progress import Progress, TaskID

SECONDS_BETWEEN_PROGRESS_LINES = 10.0


class Report(Observer, Protocol):
    """An observer that shows what it is told while it is open."""

    def __enter__(self) -> Self:
        """Open it."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it; a terminal is left as it was."""
        ...


class LineReport:
    """One line per event on standard error."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_progress: dict[Node, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing is held open."""

    def planned(self, plan: Plan) -> None:
        """Say how much there is to do, if anything."""
        if plan.to_run:
            cached = len(plan.in_state(PlanState.CACHED))
            _line(f"{_count(len(plan.steps), 'step')}: {len(plan.to_run)} to run, {cached} cached")

    def step_started(self, node: Node) -> None:
        """Name the step and its output."""
        self._last_progress[node] = self._clock()
        _line(f"run    {node.name} -> {shown_path(node.output_path)}")

    def step_progress(self, node: Node, done: int, total: int | None, unit: str) -> None:
        """Show progress, now and then."""
        now = self._clock()
        if now - self._last_progress[node] >= SECONDS_BETWEEN_PROGRESS_LINES:
            self._last_progress[node] = now
            _line(f"       {node.name}: {_amount(done, total, unit)}")

    def step_waits(self, node: Node, owner: str) -> None:
        """Name the step and who runs it."""
        _line(f"wait   {node.name}: {_waits_for(owner)}")

    def step_succeeded(self, node: Node, seconds: float) -> None:
        """Name the step and how long it took."""
        _line(f"done   {node.name} in {seconds:.1f} s")

    def step_reused(self, node: Node) -> None:
        """Name the step."""
        _line(f"done   {node.name} by another run")

    def step_failed(self, node: Node, error: StepFailed, seconds: float) -> None:
        """Name the step and its error; the details come at the end."""
        _line(f"failed {error.step_name} after {seconds:.1f} s: {error.failure.error_line()}")


class LiveReport:
    """Bars on a terminal: one over all steps, and one per running step."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._all_steps: TaskID | None = None
        self._bars: dict[Node, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def planned(self, plan: Plan) -> None:
        """Draw the bar over all steps, if anything runs."""
        if not plan.to_run:
            return
        self._progress = _progress_bars()
        self._all_steps = self._progress.add_task("steps", total=len(plan.to_run), amount="")
        self._progress.start()

    def step_started(self, node: Node) -> None:
        """Add a bar for the step."""
        self._bars[node] = self._bar().add_task(node.name, total=None, amount="")

    def step_progress(self, node: Node, done: int, total: int | None, unit: str) -> None:
        """Move the step's bar."""
        bar = self._bars.get(node)
        # A thread that the body left behind may still report after the step has ended.
        if bar is not None:
            self._bar().update(bar, completed=done, total=total, amount=_amount(done, total, unit))

    def step_waits(self, node: Node, owner: str) -> None:
        """Say beside the step's bar who runs it."""
        self._bar().update(self._bars[node], amount=_waits_for(owner))

    def step_succeeded(self, node: Node, seconds: float) -> None:
        """Take the step's bar away and say how long it took."""
        self._end(node, f"done   {node.name} in {seconds:.1f} s")

    def step_reused(self, node: Node) -> None:
        """Take the step's bar away."""
        self._end(node, f"done   {node.name} by another run")

    def step_failed(self, node: Node, error: StepFailed, seconds: float) -> None:
        """Take the step's bar away and name its error; the details come at the end."""
        self._end(node, f"failed {error.step_name} after {seconds:.1f} s: {error.failure.error_line()}")

    def _end(self, node: Node, line: str) -> None:
        bar = self._bar()
        assert self._all_steps is not None, "a step has started, so there is a plan"
        bar.remove_task(self._bars.pop(node))
        bar.advance(self._all_steps)
        bar.update(self._all_steps, amount=f"{bar.tasks[0].completed:.0f} of {bar.tasks[0].total:.0f}")
        bar.console.print(line, markup=False, highlight=False)

    def _bar(self) -> "Progress":
        assert self._progress is not None, "a step has started, so there is a plan"
        return self._progress


def make_report() -> Report:
    """The report that suits standard error."""
    return LiveReport() if sys.stderr.isatty() else LineReport()


def summary(result: RunResult, seconds: float) -> str:
    """One line on what a run did, such as `6 steps: 4 run, 2 cached in 3.1 s`."""
    total = len(result.plan.steps)
    cached = len(result.plan.in_state(PlanState.CACHED))
    if cached == total:
        return f"all {_count(total, 'step')} are cached" if total != 1 else "the step is cached"
    outcome = result.outcome
    counts = {
        "run": len(outcome.succeeded),
        "run by others": len(outcome.reused),
        "failed": len(outcome.failed),
        "not run because of failures": len(outcome.blocked),
        "not started": len(outcome.not_started),
        "cached": cached,
        "not needed": len(result.plan.in_state(PlanState.DEPENDENCY)),
    }
    parts = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"{_count(total, 'step')}: {parts} in {seconds:.1f} s"


def failure_details(error: StepFailed) -> str:
    """What a person needs to mend a failed step, in a few lines."""
    lines = [f"error: step {error.step_name} failed: {error.failure.error_line()}"]
    if error.failure.location:
        lines.append(f"  raised at: {shown_path(error.failure.location)}")
    lines.append(f"  traceback: {shown_path(storage.join(error.output_path, TRACEBACK_FILE))}")
    if error.dependents:
        lines.append(f"  not run because of it: {', '.join(error.dependents)}")
    return "\n".join(lines)


def result_json(result: RunResult, *, experiment: str | None, seconds: float) -> dict[str, Any]:
    """What a run did, for programs."""
    return {
        "experiment": experiment,
        "seconds": round(seconds, 3),
        "steps": [_step_json(result, step.node, step.state) for step in result.plan.steps],
    }


def _step_json(result: RunResult, node: Node, state: PlanState) -> dict[str, Any]:
    outcome = result.outcome
    value: dict[str, Any] = {"step": node.name, "state": state.value, "output_path": node.output_path}
    if node in outcome.succeeded:
        return {**value, "seconds": round(outcome.succeeded[node], 3)}
    if node in outcome.reused:
        return {**value, "state": "run-by-others"}
    if node in outcome.failed:
        return {**value, "state": "failed", "error": outcome.failed[node].failure.summary()}
    if node in outcome.blocked:
        return {**value, "state": "blocked", "error": f"needs {outcome.blocked[node].name}, which failed"}
    if state in (PlanState.RUN, PlanState.WAIT):
        return {**value, "state": "not-started"}
    return value


def print_plan(plan: Plan) -> None:
    """Print what a run would do, as a table on standard output."""
    print_table(
        ["step", "state", "reason", "output path"],
        [(step.node.name, step.state.value, _why(step), shown_path(step.node.output_path)) for step in plan.steps],
    )


def _why(step: PlannedStep) -> str:
    return f"{step.reason}; {'; '.join(step.changes)}" if step.changes else step.reason


def shown_path(path: str) -> str:
    """`path` for people: relative to the working directory where it lies below it."""
    return path.removeprefix(f"{os.getcwd()}/")


def _progress_bars() -> "Progress":
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[amount]}", markup=False),
        TimeElapsedColumn(),
        console=error_console(),
    )


def _line(text: str) -> None:
    click.echo(text, err=True)


def _waits_for(owner: str) -> str:
    return f"{owner} runs it" if owner else "its lease was lost; it runs again if nobody else has taken it"


def _amount(done: int, total: int | None, unit: str) -> str:
    return f"{done:,} {unit}" if total is None else f"{done:,} of {total:,} {unit}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
