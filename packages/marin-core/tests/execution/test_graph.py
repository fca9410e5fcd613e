from dataclasses import dataclass
from typing import Any

import pytest

from marin.execution.executor import Executor, ExecutorStep, PlanError, output_path_of, versioned


@dataclass(frozen=True)
class C:
    a: Any = None
    b: Any = None


def step(name: str, config: Any = None, **options: Any) -> ExecutorStep[Any]:
    return ExecutorStep(name, print, config, **options)


def test_dependencies_come_before_dependents() -> None:
    base = step("base")
    left, right = step("left", C(base)), step("right", C(base))
    top = step("top", C([left], {"x": (right,)}))
    executor = Executor("/p")
    executor.compute_version(top)
    assert executor.steps == [base, left, right, top]
    assert executor.dependencies[top] == [left, right]


def test_a_chain_of_10000_steps_is_planned_without_recursion(executor: Executor) -> None:
    last = step("s0", C(versioned(0)))
    for index in range(1, 10_000):
        last = step(f"s{index}", C(last))
    plan = executor.plan([last])
    assert len(plan.steps) == 10_000
    assert plan.steps[-1].node.step is last


def test_a_ladder_of_diamonds_does_not_blow_up() -> None:
    last = step("s0")
    for index in range(60):
        last = step(f"s{index + 1}", C(step(f"l{index}", C(last)), step(f"r{index}", C(last))))
    executor = Executor("/p")
    executor.compute_version(last)
    assert len(executor.steps) == 181
    assert max(map(len, executor.version_strs.values())) < 5_000


def test_a_cycle_is_named() -> None:
    inputs: list[Any] = []
    first = step("first", C(inputs))
    second = step("second", C(first))
    inputs.append(output_path_of(second, "x"))
    with pytest.raises(PlanError, match="cycle: first -> second -> first"):
        Executor("/p").compute_version(step("outside", C(first)))


def test_different_steps_must_not_share_an_output_path() -> None:
    first = step("first", C(versioned(1)), override_output_path="shared")
    second = step("second", C(versioned(2)), override_output_path="shared/")
    executor = Executor("/p")
    executor.compute_version(first)
    with pytest.raises(PlanError, match="steps first and second are different and would both write to /p/shared/"):
        executor.compute_version(second)


def test_hash_collisions_are_refused() -> None:
    # Two versions of one name whose MD5 begin with the same six digits; found by trying.
    executor = Executor("/p")
    seen: dict[str, int] = {}
    for number in range(100_000):
        candidate = step("a", C(versioned(number)))
        probe = Executor("/p")
        probe.compute_version(candidate)
        if (earlier := seen.setdefault(probe.output_paths[candidate], number)) != number:
            break
    executor.compute_version(step("a", C(versioned(earlier))))
    with pytest.raises(PlanError, match="steps a and a are different and would both write to"):
        executor.compute_version(step("a", C(versioned(number))))


def test_steps_of_one_version_are_one_step(caplog: pytest.LogCaptureFixture) -> None:
    first, second = step("a", C(versioned(1))), step("a", C(versioned(1)))
    top = step("top", C(second))
    executor = Executor("/p")
    executor.compute_version(first)
    executor.compute_version(top)
    assert executor.steps == [first, top]
    assert executor.dependencies[top] == [first]
    assert executor.output_paths[first] == executor.output_paths[second]
    assert not caplog.records


def test_steps_of_one_version_with_different_configs_are_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    executor = Executor("/p")
    executor.compute_version(step("a", C(1)))
    executor.compute_version(step("a", C(2)))
    assert "two steps named a differ only in what is not part of their version" in caplog.text


def test_one_version_at_two_output_paths_is_two_steps() -> None:
    first = step("a", C(versioned(1)))
    second = first.with_output_path("elsewhere")
    executor = Executor("/p")
    executor.compute_version(step("top", C(first, second)))
    assert executor.output_paths[second] == "/p/elsewhere"
    assert len(executor.steps) == 3
