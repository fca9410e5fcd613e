"""Counts what the workspace's executor asks of its storage: `SIZE FOLDER RESULT`."""

import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marin.execution.executor import Executor, ExecutorStep, versioned
from marin.storage.testing import Faults, faulty_storage


@dataclass(frozen=True)
class Config:
    """The config of every step."""

    index: Any


def nothing(config: Config) -> None:
    """The body of a step: what a step writes is its own affair, and is not counted."""


def count_operations(size: int, folder: str) -> dict[str, Counter[str]]:
    """What a first run of `size` steps, and then a second one, ask of a storage that has none of our short cuts.

    A read or a write with a condition is one operation, and so is each part of any other one: its look-up, its opening,
    its renaming. Folders are not counted; on object stores there are none.
    """
    counts: dict[str, Counter[str]] = {}
    for run in ("first", "second"):
        faults = Faults()
        with faulty_storage(faults) as scheme:
            Executor(f"{scheme}://{folder}").run(
                [ExecutorStep(f"step-{index}", nothing, Config(versioned(index))) for index in range(size)]
            )
        counts[run] = faults.operations
    return counts


def per_step(sizes: tuple[int, int], folder: str) -> dict[str, dict[str, float]]:
    """Operations that each further step adds, so that those of a run as a whole do not count."""
    few, many = (count_operations(size, f"{folder}/{size}") for size in sizes)
    added = {run: Counter(many[run]) for run in many}
    for run, counter in added.items():
        counter.subtract(few[run])
    steps = sizes[1] - sizes[0]
    return {run: {name: count / steps for name, count in counter.items() if count} for run, counter in added.items()}


if __name__ == "__main__":
    size = int(sys.argv[1])
    Path(sys.argv[3]).write_text(json.dumps(per_step((size, 2 * size), sys.argv[2])))
