"""The step that runs: what its body can ask, and how it is stopped."""

import ctypes
import threading
from contextvars import ContextVar


class StepCancelled(BaseException):
    """Raised in the body of a step that must stop: its lease is lost, so that its result would not count.

    No `Exception`, so that a body's own handlers let it pass.
    """


class CurrentStep:
    """The step whose body runs in this context."""

    def __init__(self, *, name: str, output_path: str, attempt: int) -> None:
        self.name = name
        """Name of the step."""
        self.output_path = output_path
        """Where its output will lie."""
        self.attempt = attempt
        """Number of this attempt, from 1, over all runs of the step."""
        self.cancelled = threading.Event()
        """Set when the body must stop."""
        self._thread: int | None = None
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raise `StepCancelled` if the body must stop; for loops that would not notice otherwise."""
        if self.cancelled.is_set():
            raise StepCancelled(f"step {self.name} was cancelled")

    def enter(self) -> None:
        """Say that this thread runs the body from now on."""
        self._thread = threading.get_ident()

    def leave(self) -> None:
        """Say that the body has ended: from here on nothing is raised in its thread."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is not None and self.cancelled.is_set():
                # What has not been raised yet would be raised in the code that records the end.
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None)

    def cancel(self) -> None:
        """Stop the body: `check` raises, and so does its thread as soon as it runs Python code again."""
        with self._lock:
            self.cancelled.set()
            if self._thread is not None:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self._thread), ctypes.py_object(StepCancelled)
                )


_current: ContextVar[CurrentStep | None] = ContextVar("marin_current_step", default=None)


def current_step() -> CurrentStep | None:
    """The step whose body calls this; None outside a step."""
    return _current.get()


def set_current_step(step: CurrentStep | None) -> None:
    """Make `step` the current one in this context."""
    _current.set(step)
