import gc
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from marin.execution.executor import (
    THIS_OUTPUT_PATH,
    Executor,
    ExecutorStep,
    PlanError,
    output_path_of,
    this_output_path,
    versioned,
)
from marin.execution.graph import Graph


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


@dataclass(frozen=True)
class Adam:
    lr: Any


@dataclass(frozen=True)
class Sgd:
    lr: Any


@pytest.mark.parametrize("wrap", [versioned, lambda optimizer: replace(optimizer, lr=versioned(1))])
def test_steps_that_only_types_tell_apart_are_refused(wrap: Callable[[Any], Any]) -> None:
    executor = Executor("/p")
    executor.compute_version(step("train", C(wrap(Adam(1)))))
    with pytest.raises(PlanError, match="steps train and train are different and would both write") as caught:
        executor.compute_version(step("train", C(wrap(Sgd(1)))))
    assert "\n  train: C(a=Adam(lr=1), b=None)\n  train: C(a=Sgd(lr=1), b=None)" in str(caught.value)


@pytest.mark.parametrize(
    ("first", "second"),
    [("Docs/x", "docs/x"), ("docs/x", "docs/X/"), ("É", "e\N{COMBINING ACUTE ACCENT}"), ("gs://b/X", "gs://b/x")],
)
def test_output_paths_that_differ_only_in_letter_case_are_refused(first: str, second: str) -> None:
    executor = Executor("/p")
    executor.compute_version(step("first", override_output_path=first))
    with pytest.raises(ValueError, match=r"steps first and second would write to .* differ only in letter case"):
        executor.compute_version(step("second", override_output_path=second))


def test_one_step_written_to_two_spellings_of_a_folder_is_refused() -> None:
    executor = Executor("/p")
    executor.compute_version(step("first", override_output_path="x"))
    with pytest.raises(PlanError, match="differ only in letter case"):
        executor.compute_version(step("first", override_output_path="X"))


def test_a_config_can_be_built_for_another_output_path() -> None:
    up = step("up")
    graph = Graph("/p")
    node = graph.add(step("a", C(this_output_path("x"), {"up": up / "y", "own": THIS_OUTPUT_PATH})))
    assert node.config_at("/elsewhere") == C("/elsewhere/x", {"up": f"{graph.path_of(up)}/y", "own": "/elsewhere"})
    assert node.config == node.config_at(node.output_path)
    assert node.config is node.config


def test_the_path_hash_is_short_and_the_digest_is_long() -> None:
    node = Graph("/p").add(step("a"))
    assert node.output_path == f"/p/a-{node.path_hash}"
    assert (len(node.path_hash), len(node.digest)) == (6, 64)
    assert node.version == {"name": "a", "config": {}, "dependencies": []}


def test_planning_leaves_the_garbage_collector_as_it_was() -> None:
    graph = Graph("/p")
    graph.add(step("a"))
    assert gc.isenabled()
    with pytest.raises(PlanError):
        graph.add(step(""))
    assert gc.isenabled()


def test_a_too_long_path_is_refused() -> None:
    with pytest.raises(PlanError, match=r"step a: its output path of .* bytes is too long"):
        Executor("/" + "p/" * 1920).compute_version(step("a"))
