"""Files that are replaced only if nobody has changed them since they were read: compare-and-swap.

Where the storage offers it: local disk, `gs://` (generations), `s3://` (ETags), `memory://` within one process, and any
fsspec file system that has the two methods of `ConditionalFileSystem`. Elsewhere a write would silently be the last one
that wins, so it is refused.

Remote objects go through Rigging. Its local variant is not used: it rewrites the file in place, so that a process that
is killed leaves half of it; it waits for the disk at every write; and importing it loads the clients of all clouds.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import threading
import uuid
from collections.abc import Generator
from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

from marin.errors import UsageError
from marin.storage import StorageError, explained, filesystem, is_local, scheme, write_new_local

_RIGGING_SCHEMES = ("gs", "s3")
_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)

_CHUNK_BYTES = 1 << 16

_memory_lock = threading.Lock()


class ConflictError(StorageError):
    """The file is not the one that was expected: somebody else has written it."""


class VersionedBytes(NamedTuple):
    """What a file held when it was read."""

    data: bytes
    version: str
    """Changes whenever the file does; only compared, never read."""


@runtime_checkable
class ConditionalFileSystem(Protocol):
    """What an fsspec file system offers beside fsspec's own methods if its files can be replaced conditionally."""

    def read_versioned(self, path: str) -> VersionedBytes | None:
        """The content of `path`; None where no file is there.

        Raises:
            OSError: it cannot be read.
        """
        ...

    def write_versioned(self, path: str, data: bytes, expected: str | None) -> str:
        """Write `path` if its version is `expected` (None: if there is no file); the new version.

        Raises:
            FileExistsError: the version is another one.
            OSError: it cannot be written, or nobody knows whether it was.
        """
        ...


def read_versioned(path: str) -> VersionedBytes | None:
    """The content of `path`, with what a conditional write needs; None where no file is there.

    Raises:
        StorageError: it cannot be read.
        UsageError: the storage has no conditional writes.
    """
    if is_local(path):
        local_path = _without_scheme(path)
        try:
            return _versioned(_read_local(local_path))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
    if scheme(path) in _RIGGING_SCHEMES:
        with _explained_cloud(path, "read"):
            found = _rigging_object(path).read()
            return None if found is None else VersionedBytes(found.data, found.version)
    fs, native = filesystem(path)
    with explained(path, "read"):
        return _conditional(fs, path).read_versioned(native)


def write_versioned(path: str, data: bytes, *, expected: str | None) -> str:
    """Write `data` to `path` if its version is `expected`; the new version. Parents are made.

    The file is replaced as a whole: a reader sees the old content or the new one.

    Args:
        path: the file.
        data: its new content.
        expected: version of the content to replace; None: there must be no file.

    Raises:
        ConflictError: the file has another version; nothing is written.
        StorageError: it cannot be written. On remote storage it may have been written all the same, if the answer
            was lost: read it to know.
        UsageError: the storage has no conditional writes.
    """
    if is_local(path):
        with explained(path, "write"):
            return _write_local(_without_scheme(path), data, expected)
    if scheme(path) in _RIGGING_SCHEMES:
        with _explained_cloud(path, "write"):
            return str(_rigging_object(path).write(data, expected_version=expected))
    fs, native = filesystem(path)
    with explained(path, "write"):
        try:
            return _conditional(fs, path).write_versioned(native, data, expected)
        except FileExistsError as error:
            raise ConflictError(f"{path} was written by somebody else meanwhile") from error


def _read_local(path: str) -> bytes:
    # Not through fsspec, nor a Python file: this is the one access that every cached step costs.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(descriptor, _CHUNK_BYTES)
        while len(data) % _CHUNK_BYTES == 0 and (more := os.read(descriptor, _CHUNK_BYTES)):
            data += more
        return data
    finally:
        os.close(descriptor)


def _write_local(path: str, data: bytes, expected: str | None) -> str:
    temporary = f"{path}.tmp.{uuid.uuid4().hex}"
    try:
        if expected is None:
            write_new_local(temporary, data)
            _create_local(temporary, path)
        else:
            _replace_local(temporary, path, data, expected)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    return _content_version(data)


def _create_local(temporary: str, path: str) -> None:
    try:
        # A link appears whole and only once; opening with O_EXCL would show an empty file for a moment.
        os.link(temporary, path)
    except FileExistsError as error:
        raise ConflictError(f"{path} was written by somebody else meanwhile") from error
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        _create_without_links(temporary, path)


def _create_without_links(temporary: str, path: str) -> None:
    """Create `path` on file systems without hard links; there it is empty for a moment."""
    try:
        with open(path, "xb"):
            pass
    except FileExistsError as error:
        raise ConflictError(f"{path} was written by somebody else meanwhile") from error
    os.replace(temporary, path)


def _replace_local(temporary: str, path: str, data: bytes, expected: str) -> None:
    try:
        current = open(path, "rb", buffering=0)  # noqa: SIM115  # closed below
    except FileNotFoundError as error:
        raise ConflictError(f"{path} was removed meanwhile") from error
    with current:
        # Whoever replaces the file holds the lock of the file that it replaces, so that the comparison holds until the
        # rename; a file that was replaced while this process waited for its lock is not at `path` any more.
        fcntl.flock(current, fcntl.LOCK_EX)
        if not _is_at(current.fileno(), path) or _content_version(current.readall()) != expected:
            raise ConflictError(f"{path} was written by somebody else meanwhile")
        write_new_local(temporary, data)
        os.replace(temporary, path)


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _versioned(data: bytes) -> VersionedBytes:
    return VersionedBytes(data, _content_version(data))


def _content_version(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _without_scheme(path: str) -> str:
    return path.partition("://")[2] if "://" in path else path


class _MemoryFiles:
    """`ConditionalFileSystem` over fsspec's in-memory files, for the threads of this process."""

    def __init__(self, fs: Any) -> None:
        self._fs = fs

    def read_versioned(self, path: str) -> VersionedBytes | None:
        try:
            return _versioned(self._fs.cat_file(path))
        except FileNotFoundError:
            return None

    def write_versioned(self, path: str, data: bytes, expected: str | None) -> str:
        with _memory_lock:
            current = self.read_versioned(path)
            if (current.version if current else None) != expected:
                raise FileExistsError(path)
            self._fs.pipe_file(path, data)
        return _content_version(data)


def _conditional(fs: Any, path: str) -> ConditionalFileSystem:
    if scheme(path) == "memory":
        return _MemoryFiles(fs)
    if isinstance(fs, ConditionalFileSystem):
        return fs
    raise UsageError(
        f"cannot use {path}: the storage {scheme(path)}:// has no conditional writes, without which two runs could "
        "overwrite each other's results; use a local path, gs:// or s3://"
    )


def _rigging_object(path: str) -> Any:
    from rigging.filesystem.conditional_object import conditional_object

    return cast(Any, conditional_object(path))


@contextlib.contextmanager
def _explained_cloud(path: str, action: str) -> Generator[None]:
    from botocore.exceptions import BotoCoreError, ClientError
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from rigging.filesystem.conditional_object import ConditionalWriteError

    try:
        with explained(path, action):
            yield
    except ConditionalWriteError as error:
        raise ConflictError(f"{path} was written by somebody else meanwhile") from error
    except (BotoCoreError, ClientError, GoogleAPIError, GoogleAuthError) as error:
        raise StorageError(f"cannot {action} {path}: {error}") from error
