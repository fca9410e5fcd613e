"""The `marin-core` of the package index: its `StepRunner`, with its defaults."""

import logging
from pathlib import Path

from measured import CHAIN, OUTPUT, body, measure

from marin.execution.step_runner import StepRunner
from marin.execution.step_spec import StepSpec


def write(output_path: str) -> None:
    """The body of a step."""
    body(f"{output_path}/{OUTPUT}.txt")


def run(shape: str, size: int, folder: Path) -> None:
    """Run the steps under the prefix `folder`."""
    # With a handler it does not set up a log of its own, which would be timed as well.
    logging.getLogger().addHandler(logging.NullHandler())
    steps: list[StepSpec] = []
    for index in range(size):
        steps.append(
            StepSpec(
                name=f"step-{index}",
                output_path_prefix=str(folder),
                deps=steps[-1:] if shape == CHAIN else [],
                hash_attrs={"index": index},
                fn=write,
            )
        )
    StepRunner().run(steps[-1:] if shape == CHAIN else steps)


if __name__ == "__main__":
    measure(run, "marin-core")
