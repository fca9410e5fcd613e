"""Steps of an experiment, run once each: the names that experiment scripts import.

An experiment is a graph of steps. A step has a name, a function and a config; where the config refers to other steps,
they run first. The output path of a step follows from its name and from what is `versioned` in its config and in
those of the steps it refers to, so that a second run finds the first one's outputs and runs only what is new.

Example:
    ```python
    from dataclasses import dataclass
    from pathlib import Path

    from marin.execution.executor import THIS_OUTPUT_PATH, ExecutorStep, executor_main, output_path_of, versioned


    @dataclass(frozen=True)
    class CountConfig:
        input_path: str
        longer_than: int
        output_path: str = THIS_OUTPUT_PATH


    def count(config: CountConfig) -> None: ...


    words = ExecutorStep("raw/words", collect, CollectConfig(versioned("en")))
    long_words = ExecutorStep("counts/words", count, CountConfig(output_path_of(words, "words.txt"), versioned(7)))

    if __name__ == "__main__":
        executor_main(steps=[long_words], description="How many long words there are")
    ```
"""

from marin.execution.errors import ExperimentFailed, PlanError, PreviousTaskFailedError, StepFailed
from marin.execution.experiment import Executor
from marin.execution.main import ExecutorMainConfig, executor_main
from marin.execution.steps import (
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

__all__ = [
    "THIS_OUTPUT_PATH",
    "Executor",
    "ExecutorMainConfig",
    "ExecutorStep",
    "ExperimentFailed",
    "InputName",
    "OutputName",
    "PlanError",
    "PreviousTaskFailedError",
    "StepFailed",
    "VersionedValue",
    "ensure_versioned",
    "executor_main",
    "get_executor_step",
    "output_path_of",
    "this_output_path",
    "unwrap_versioned_value",
    "versioned",
]
