"""What a step costs in operations on its storage: the time of an experiment whose steps are many and short."""

from collections import Counter
from pathlib import Path

import pytest

from marin.execution.executor import Executor, ExecutorStep, versioned
from marin.storage.testing import Faults, faulty_storage


def do_nothing(config: object) -> None:
    pass


def operations(prefix: Path, steps: int, *, runs: int) -> Counter[str]:
    """Operations of the last of `runs` runs of as many steps."""
    faults = Faults()
    with faulty_storage(faults) as scheme:
        for _ in range(runs):
            faults.operations.clear()
            executor = Executor(f"{scheme}://{prefix}")
            executor.run([ExecutorStep(f"step{index}", do_nothing, versioned(index)) for index in range(steps)])
    return faults.operations


@pytest.mark.parametrize(("runs", "allowed"), [(1, 7), (2, 1)], ids=["cold", "warm"])
def test_operations_of_one_step(tmp_path: Path, runs: int, allowed: int) -> None:
    few = operations(tmp_path / "few", 10, runs=runs)
    many = operations(tmp_path / "many", 20, runs=runs)
    # What a run costs, however many steps it has, is in both.
    per_step = {name: (many[name] - few[name]) / 10 for name in sorted(many)}
    assert 0 < sum(per_step.values()) <= allowed, per_step
