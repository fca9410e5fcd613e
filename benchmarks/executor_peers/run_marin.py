"""`marin.execution` of this workspace, with its defaults."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measured import CHAIN, OUTPUT, body, measure

from marin.execution.executor import THIS_OUTPUT_PATH, Executor, ExecutorStep, output_path_of, versioned


@dataclass(frozen=True)
class Config:
    """The config of every step."""

    index: Any
    previous: Any = None
    output_path: str = THIS_OUTPUT_PATH


def write(config: Config) -> None:
    """The body of a step."""
    body(f"{config.output_path}/{OUTPUT}.txt")


def make_steps(shape: str, size: int) -> list[ExecutorStep[Config]]:
    """The steps whose outputs are wanted: all of them, or the end of the chain."""
    steps: list[ExecutorStep[Config]] = []
    for index in range(size):
        previous = output_path_of(steps[-1]) if shape == CHAIN and steps else None
        steps.append(ExecutorStep(f"step-{index}", write, Config(versioned(index), previous)))
    return steps[-1:] if shape == CHAIN else steps


def run(shape: str, size: int, folder: Path) -> None:
    """Run the steps under the prefix `folder`."""
    Executor(str(folder)).run(make_steps(shape, size))


if __name__ == "__main__":
    measure(run, "marin-core")
