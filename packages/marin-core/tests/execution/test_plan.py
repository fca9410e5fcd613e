from dataclasses import dataclass
from typing import Any

import pytest

from marin.execution.executor import Executor, ExecutorStep, InputName, PlanError, PreviousTaskFailedError, versioned
from marin.execution.status import StatusEvent, StepStatus, read_log, write_event


@dataclass(frozen=True)
class C:
    a: Any = None
    b: Any = None


def step(name: str, config: Any = None) -> ExecutorStep[Any]:
    return ExecutorStep(name, print, config)


def states(executor: Executor, *targets: Any, **options: Any) -> dict[str, str]:
    return {planned.node.name: planned.state.value for planned in executor.plan(targets, **options).steps}


def mark(executor: Executor, some_step: ExecutorStep[Any], status: StepStatus) -> None:
    executor.compute_version(some_step)
    path = executor.output_paths[some_step]
    write_event(path, read_log(path), StatusEvent.now(status))


@pytest.fixture
def chain() -> list[ExecutorStep[Any]]:
    """first <- second <- third."""
    first = step("first")
    second = step("second", C(first))
    return [first, second, step("third", C(second))]


def test_nothing_done_yet(executor: Executor, chain: list[ExecutorStep[Any]]) -> None:
    assert states(executor, chain[2]) == {"first": "run", "second": "run", "third": "run"}


def test_a_cached_step_needs_none_of_its_dependencies(executor: Executor, chain: list[ExecutorStep[Any]]) -> None:
    mark(executor, chain[1], StepStatus.SUCCESS)
    assert states(executor, chain[2]) == {"first": "dependency", "second": "cached", "third": "run"}
    assert states(executor, chain[2], chain[0]) == {"first": "run", "second": "cached", "third": "run"}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (StepStatus.FAILED, "status FAILED: it runs again"),
        (StepStatus.DEP_FAILED, "status DEP_FAILED: it runs again"),
        (StepStatus.CANCELLED, "status CANCELLED: it runs again"),
        (StepStatus.RUNNING, "status RUNNING, left by a run that did not end"),
        (StepStatus.WAITING, "marked to run again"),
    ],
)
def test_every_status_but_success_runs_again(executor: Executor, status: StepStatus, reason: str) -> None:
    some_step = step("a")
    mark(executor, some_step, status)
    [planned] = executor.plan([some_step]).steps
    assert (planned.state, planned.reason) == ("run", reason)


def test_failures_of_earlier_runs_can_be_kept(executor: Executor, chain: list[ExecutorStep[Any]]) -> None:
    mark(executor, chain[0], StepStatus.FAILED)
    mark(executor, chain[1], StepStatus.DEP_FAILED)
    plan = executor.plan([chain[2]], force_run_failed=False)
    assert [planned.state for planned in plan.steps] == ["failed-before", "failed-before", "blocked"]
    with pytest.raises(PreviousTaskFailedError, match=r"first \(status FAILED, .*\); second \(status DEP_FAILED"):
        executor.run([chain[2]], force_run_failed=False)


def test_nonblocking_references_are_not_run(executor: Executor) -> None:
    training = step("training", C(step("data")))
    evaluation = step("evaluation", C((training / "checkpoint").nonblocking()))
    assert states(executor, evaluation) == {"data": "dependency", "training": "dependency", "evaluation": "run"}
    assert states(executor, evaluation, training) == {"data": "run", "training": "run", "evaluation": "run"}


def test_run_only_selects_by_search_and_takes_dependencies(executor: Executor, chain: list[ExecutorStep[Any]]) -> None:
    other = step("other/secondary", C(versioned(1)))
    selected = states(executor, chain[2], other, run_only=["^sec"])
    assert selected == {"first": "run", "second": "run", "third": "dependency", "other/secondary": "dependency"}
    assert states(executor, chain[2], other, run_only=["third", "ary$"])["other/secondary"] == "run"


def test_a_run_only_that_matches_nothing_is_warned_about(
    executor: Executor, chain: list[ExecutorStep[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    assert set(states(executor, chain[2], run_only=["fourth"]).values()) == {"dependency"}
    assert "no step has a name that matches 'fourth'" in caplog.text


def test_a_malformed_run_only_is_refused(executor: Executor, chain: list[ExecutorStep[Any]]) -> None:
    with pytest.raises(PlanError, match=r"run_only: '\(' is not a regular expression"):
        executor.plan([chain[2]], run_only=["("])


def test_targets_may_be_paths_in_outputs(executor: Executor, chain: list[ExecutorStep[Any]]) -> None:
    assert states(executor, chain[0] / "x", InputName.hardcoded("raw/x")) == {"first": "run"}
