"""A file system that fails on purpose, for tests of what is built on storage.

    faults = Faults(seed=7, lose_request=0.1, lose_answer=0.1)
    with faulty_storage(faults) as scheme:
        run_something(f"{scheme}:///tmp/test")

Files lie on the local disk under the same path, so that several processes can share them; it takes part in conditional
writes (`marin.storage.conditional`), as object stores do.
"""

import contextlib
import errno
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, cast

import fsspec  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
from fsspec.implementations.local import LocalFileSystem  # pyright: ignore[reportMissingTypeStubs]

from marin.storage.conditional import ConflictError, VersionedBytes, read_versioned, write_versioned

SCHEME = "faulty"
"""Of the URLs that are served while `faulty_storage` is open."""


@dataclass(kw_only=True)
class Faults:
    """What goes wrong, and what has been asked for; the same seed gives every thread the same faults."""

    seed: int = 0
    lose_request: float = 0.0
    """Share of operations that fail and have not happened."""
    lose_answer: float = 0.0
    """Share of writes that fail although they have happened."""
    longest_delay: float = 0.0
    """Seconds that an operation takes at most, before it happens; drawn evenly."""
    error: int = errno.EIO
    """Number of the error that is raised."""
    is_hit: Callable[[str, str], bool] = lambda operation, path: True
    """Which operations on which paths may fail at all."""
    operations: Counter[str] = field(default_factory=Counter[str])
    """How often each operation was asked for."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._lock = threading.Lock()

    def before(self, operation: str, path: str) -> None:
        """Count `operation`, let it take its time, and fail it perhaps."""
        with self._lock:
            self.operations[operation] += 1
            delay = self._random.random() * self.longest_delay
            fails = self._random.random() < self.lose_request
        if delay:
            time.sleep(delay)
        if fails and self.is_hit(operation, path):
            raise OSError(self.error, os.strerror(self.error), path)

    def after(self, operation: str, path: str) -> None:
        """Lose the answer of `operation` perhaps."""
        with self._lock:
            fails = self._random.random() < self.lose_answer
        if fails and self.is_hit(operation, path):
            raise OSError(self.error, os.strerror(self.error), path)


class FaultyFileSystem(LocalFileSystem):
    """The local disk, behind `faulty://`, with the faults of the open `faulty_storage`."""

    protocol = SCHEME
    cachable = False
    faults = Faults()

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, str):
            path = path.removeprefix(f"{SCHEME}://")
        return cast(Any, super())._strip_protocol(path)

    def read_versioned(self, path: str) -> VersionedBytes | None:
        """As `ConditionalFileSystem`."""
        self.faults.before("read", path)
        return read_versioned(path)

    def write_versioned(self, path: str, data: bytes, expected: str | None) -> str:
        """As `ConditionalFileSystem`."""
        self.faults.before("write", path)
        try:
            version = write_versioned(path, data, expected=expected)
        except ConflictError as error:
            raise FileExistsError(path) from error
        self.faults.after("write", path)
        return version

    def open(self, path: str, mode: str = "rb", *args: Any, **options: Any) -> Any:
        """As fsspec; a file that is opened for writing is one operation."""
        native = self._strip_protocol(path)
        self.faults.before("read" if "r" in mode else "write", native)
        return cast(Any, super()).open(native, mode, *args, **options)

    def mv(self, path1: str, path2: str, recursive: bool = True, **options: Any) -> None:
        """As fsspec; what puts a written file in its place counts with the write."""
        self.faults.before("move", path2)
        cast(Any, super()).mv(path1, path2, recursive=recursive, **options)
        self.faults.after("move", path2)

    def rm(self, path: str, recursive: bool = False, maxdepth: int | None = None) -> None:
        """As fsspec."""
        self.faults.before("remove", path)
        cast(Any, super()).rm(path, recursive=recursive, maxdepth=maxdepth)

    def ls(self, path: str, detail: bool = False, **options: Any) -> list[Any]:
        """As fsspec."""
        self.faults.before("list", path)
        return cast(Any, super()).ls(path, detail=detail, **options)

    def exists(self, path: str, **options: Any) -> bool:
        """As fsspec."""
        self.faults.before("look up", path)
        return cast(Any, super()).exists(path, **options)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """As fsspec; folders cost nothing on object stores, so they are neither counted nor failed."""
        cast(Any, super()).makedirs(path, exist_ok=exist_ok)


@contextlib.contextmanager
def faulty_storage(faults: Faults) -> Generator[str]:
    """Serve URLs with the scheme that the block is given, with `faults`; one at a time in a process."""
    earlier = FaultyFileSystem.faults
    FaultyFileSystem.faults = faults
    cast(Any, fsspec).register_implementation(SCHEME, FaultyFileSystem, clobber=True)
    try:
        yield SCHEME
    finally:
        FaultyFileSystem.faults = earlier
