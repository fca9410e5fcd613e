"""Attribute files, and outputs whose bytes depend on their rows alone."""

import contextlib
import gzip
import json
import uuid
from collections.abc import Generator
from typing import IO, Any, cast

from marin.classifiers.documents import read_lines
from marin.classifiers.errors import InputError
from marin.storage import StorageError, filesystem, open_atomic

GZIP_LEVEL = 6
"""Compression of outputs: half the size of level 1, and 2.6 times as fast as level 9 for 1.5 % more bytes."""


@contextlib.contextmanager
def open_output(path: str) -> Generator[IO[bytes]]:
    """Like `marin.storage.open_atomic`, but the same rows give the same bytes.

    gzip's header would hold the time of writing and the temporary file's name.

    Raises:
        StorageError: the file cannot be written.
    """
    if not path.endswith(".gz"):
        with open_atomic(path) as stream:
            yield stream
        return
    # A name that does not ask for compression, so that the header is ours.
    plain = f"{path}.tmp.{uuid.uuid4().hex}"
    with open_atomic(plain) as raw, gzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=0) as stream:
        yield cast(IO[bytes], stream)
    fs, native = filesystem(path)
    try:
        fs.mv(filesystem(plain)[1], native)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error


def read_attributes(path: str) -> Generator[tuple[int, dict[str, Any]]]:
    """The rows of an attribute file with their line numbers.

    Raises:
        InputError: a line is no row of an attribute file; names file and line.
        StorageError: the file cannot be read.
    """
    for number, line in read_lines(path):
        try:
            row: Any = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}:{number}: not JSON: {error}") from error
        if not isinstance(row, dict) or not isinstance(cast(dict[str, Any], row).get("attributes"), dict):
            raise InputError(f"{path}:{number}: no row of an attribute file: it has no object 'attributes'")
        yield number, cast(dict[str, Any], row)
