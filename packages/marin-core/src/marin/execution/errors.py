"""Errors of the executor.

MarinError
├── UsageError
│   └── PlanError                 also a ValueError: the experiment cannot be planned; nothing has run
│       └── ReusedPathError       the output there was made from another config
├── PreviousTaskFailedError       a step failed earlier and may not run again
├── MissingOutputError            a step ended without the outputs that it declares
├── StepFailed                    the body of one step raised, or its job failed
└── ExperimentFailed              an ExceptionGroup of StepFailed: everything that failed in one run
"""

from collections.abc import Sequence

from marin.errors import MarinError, UsageError
from marin.execution.failures import Failure


class PlanError(UsageError, ValueError):
    """The steps cannot be planned as they are given; the message names the step and the field."""


class ReusedPathError(PlanError):
    """The output of a step was made from another config, by a reused path or a collision of hashes."""


class PreviousTaskFailedError(MarinError):
    """A step failed earlier, and `force_run_failed` is off."""


class MissingOutputError(MarinError):
    """A step ended without the outputs that it declares."""


class StepFailed(MarinError):
    """The body of a step raised, or its job failed; `failure` says how."""

    def __init__(self, step_name: str, output_path: str, failure: Failure, dependents: Sequence[str] = ()) -> None:
        super().__init__(f"step {step_name} failed: {failure.summary()}")
        self.step_name = step_name
        self.output_path = output_path
        self.failure = failure
        self.dependents = tuple(dependents)
        """Names of the steps that could not run because of this one."""


class ExperimentFailed(MarinError, ExceptionGroup[StepFailed]):
    """Steps failed; all of them are in `exceptions`, in the order in which they failed, and named in the message."""

    def __str__(self) -> str:
        return self.message
