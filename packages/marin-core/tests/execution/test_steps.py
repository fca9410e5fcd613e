from dataclasses import dataclass
from typing import Any

import pytest

from marin.execution.executor import (
    THIS_OUTPUT_PATH,
    ExecutorStep,
    InputName,
    OutputName,
    VersionedValue,
    ensure_versioned,
    get_executor_step,
    output_path_of,
    this_output_path,
    unwrap_versioned_value,
    versioned,
)
from marin.resources.config import ResourceConfig


@dataclass(frozen=True)
class C:
    a: Any = None
    b: Any = None


UP: ExecutorStep[Any] = ExecutorStep("up", print, None)


def test_paths_below_an_output() -> None:
    assert UP / "x" == UP.cd("x") == output_path_of(UP, "x") == InputName(UP, "x")
    assert InputName(UP, "x/y") == UP / "x" / "y"
    assert UP.as_input_name() / "x" == UP / "x"
    assert (UP / "x").nonblocking() / "y" == InputName(UP, "x/y", block_on_step=False)
    assert InputName.hardcoded("raw/x") == InputName(None, "raw/x")


def test_own_paths() -> None:
    assert this_output_path() == THIS_OUTPUT_PATH == OutputName(None)
    assert this_output_path("x") == OutputName("x")


def test_steps_are_compared_by_identity() -> None:
    twin: ExecutorStep[Any] = ExecutorStep("up", print, None)
    assert twin != UP
    assert len({UP, twin, UP}) == 2


def test_versioned_values_are_not_nested() -> None:
    with pytest.raises(ValueError, match="nested"):
        versioned(versioned(1))
    with pytest.raises(ValueError, match="part of the version as they are"):
        versioned(UP / "x")
    with pytest.raises(ValueError, match="part of the version as they are"):
        versioned(UP)


def test_ensure_versioned() -> None:
    assert ensure_versioned(1) == ensure_versioned(versioned(1)) == VersionedValue(1)


def test_unwrapping_reaches_into_containers() -> None:
    assert unwrap_versioned_value(versioned(3)) == 3
    config = C(versioned([versioned(1), (versioned(2),)]), {"k": C(versioned("x"))})
    assert unwrap_versioned_value(config) == C([1, (2,)], {"k": C("x")})


@pytest.mark.parametrize("placeholder", [UP, UP / "x", THIS_OUTPUT_PATH])
def test_placeholders_cannot_be_unwrapped(placeholder: Any) -> None:
    with pytest.raises(ValueError, match="only the executor knows its path"):
        unwrap_versioned_value(C([placeholder]))


def test_the_step_of_a_reference() -> None:
    assert get_executor_step(UP) is get_executor_step(UP / "x") is UP
    with pytest.raises(ValueError, match="hardcoded path raw/x is not a step"):
        get_executor_step(InputName.hardcoded("raw/x"))


def test_what_makes_a_step_a_job() -> None:
    assert not UP.needs_job
    assert ExecutorStep("a", print, None, resources=ResourceConfig(cpu=1)).needs_job
    assert ExecutorStep("a", print, None, env_vars={"A": "1"}).needs_job
    assert ExecutorStep("a", print, None, pip_dependency_groups=["vllm"]).needs_job
