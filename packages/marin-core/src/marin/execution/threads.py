"""Threads that run steps: kept for the next step, and daemons, so that no body holds up an interrupted process."""

import contextvars
import queue
import threading
from collections.abc import Callable


class DaemonThreads:
    """As many threads as there are functions at a time; the standard library's pools wait for theirs at exit."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._threads = 0

    def submit(self, function: Callable[[], object]) -> None:
        """Call `function`, which raises nothing, in a thread with a copy of this context."""
        context = contextvars.copy_context()
        with self._lock:
            if self._idle:
                self._idle -= 1
            else:
                self._threads += 1
                threading.Thread(target=self._run, name=f"step thread {self._threads}", daemon=True).start()
        self._work.put(lambda: context.run(function))

    def close(self) -> None:
        """Let every thread end after its function."""
        for _ in range(self._threads):
            self._work.put(None)

    def _run(self) -> None:
        while (function := self._work.get()) is not None:
            function()
            with self._lock:
                self._idle += 1
