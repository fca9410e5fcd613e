"""Catches what the jobs of one process print and log, each job apart."""

import contextlib
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextvars import ContextVar
from typing import Any, TextIO

type Sink = Callable[[str], None]

_sink: ContextVar[Sink | None] = ContextVar("marin_job_output", default=None)
_lock = threading.Lock()
_captures = 0
_STREAMS = ("stdout", "stderr")


class _Tee:
    """A text stream that also hands what is written to the sink of the context that writes."""

    def __init__(self, original: TextIO) -> None:
        self.original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)

    def write(self, text: str) -> int:
        sink = _sink.get()
        if sink is not None:
            sink(text)
        return self.original.write(text)


class _LogHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        sink = _sink.get()
        if sink is not None:
            sink(self.format(record) + "\n")


_handler = _LogHandler()
_handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))


@contextlib.contextmanager
def captured_output(sink: Sink) -> Generator[None]:
    """Hand what this context prints and logs to `sink`, while it also goes where it went before.

    A thread that the block starts has a context of its own, and is not caught.
    """
    _install()
    token = _sink.set(sink)
    try:
        yield
    finally:
        _sink.reset(token)
        _uninstall()


def _install() -> None:
    global _captures
    with _lock:
        _captures += 1
        if _captures == 1:
            logging.getLogger().addHandler(_handler)
        for name in _STREAMS:
            stream = getattr(sys, name)
            # Asked every time: while a long job is caught, somebody may have put a stream of their own here.
            if not isinstance(stream, _Tee):
                setattr(sys, name, _Tee(stream))


def _uninstall() -> None:
    global _captures
    with _lock:
        _captures -= 1
        if _captures:
            return
        logging.getLogger().removeHandler(_handler)
        for name in _STREAMS:
            stream = getattr(sys, name)
            if isinstance(stream, _Tee):
                setattr(sys, name, stream.original)


class JobLog:
    """The lines of one job, written by many threads and followed by any."""

    def __init__(self, max_lines: int = 100_000) -> None:
        self._lines: deque[str] = deque(maxlen=max_lines)
        self._written = 0
        self._closed = False
        self._changed = threading.Condition()

    def add(self, text: str) -> None:
        """Add the lines of `text`."""
        with self._changed:
            for line in text.splitlines():
                self._lines.append(line)
                self._written += 1
            self._changed.notify_all()

    @contextlib.contextmanager
    def sink(self) -> Generator[Sink]:
        """A function that takes pieces of text and adds their lines, the last one when the block ends."""
        pending = ""

        def take(text: str) -> None:
            nonlocal pending
            complete, newline, pending = (pending + text).rpartition("\n")
            if newline:
                self.add(complete or "\n")

        try:
            yield take
        finally:
            self.add(pending)

    def close(self) -> None:
        """End the log; who follows it comes to an end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def lines(self) -> list[str]:
        """The lines that are kept, oldest first."""
        with self._changed:
            return list(self._lines)

    def follow(self) -> Iterator[str]:
        """The lines from the first that is kept, and then as they come, until the log is closed."""
        seen = 0
        while True:
            with self._changed:
                while self._written == seen and not self._closed:
                    self._changed.wait()
                fresh = min(self._written - seen, len(self._lines))
                lines = list(self._lines)[len(self._lines) - fresh :]
                seen = self._written
                closed = self._closed
            yield from lines
            if closed:
                return
