"""Progress of a running step, reported from anywhere in its body."""

from collections.abc import Callable
from contextvars import ContextVar

from marin.execution.current import current_step

ProgressSink = Callable[[int, int | None, str], None]
"""Receives how much is done, out of how much (None: unknown), and of what."""

progress_sink: ContextVar[ProgressSink | None] = ContextVar("marin_progress_sink", default=None)
"""Where the current step's progress goes; set by the executor."""


def report_progress(done: int, total: int | None = None, unit: str = "documents") -> None:
    """Say how far the current step is; a no-op outside a step. In a job it is only where a cancelled body stops.

    Args:
        done: how much is done so far, from 0.
        total: how much there is; None where that is not known.
        unit: what is counted.

    Raises:
        StepCancelled: the step must stop.
    """
    step = current_step()
    if step is not None:
        step.check()
    sink = progress_sink.get()
    if sink is not None:
        sink(done, total, unit)
