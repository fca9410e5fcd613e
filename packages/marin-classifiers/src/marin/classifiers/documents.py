"""Documents: JSON lines `{"id": ..., "text": ..., "source": ...}`, read tolerantly, a line at a time."""

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from marin.classifiers.errors import DocumentError
from marin.storage import DamagedFileError, open_read

type OnBadDocument = Literal["fail", "skip"]
"""What to do with a document that cannot be used: stop and name it, or go on and count it."""

ON_BAD_DOCUMENT = ("fail", "skip")
"""The values of `OnBadDocument`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentColumns:
    """Where the parts of a document are found: keys of its JSON object."""

    id: str = "id"
    """Name of the document; a non-empty string, required."""
    text: str = "text"
    """The text; a string, required."""
    source: str = "source"
    """Where the document comes from; optional, copied to the attributes."""
    label: str = "label"
    """Class of a labelled document; read in training only."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document and the place it was read from."""

    path: str
    """File that holds it."""
    line: int
    """Line in the file, counted from 1."""
    id: str
    """Its name."""
    text: str
    """Its text, as it is in the file."""
    source: Any
    """Where it comes from; None if the file does not say."""
    label: Any
    """Its class as it is in the file; None if it has none."""
    data: bytes
    """The line itself."""


@dataclass(frozen=True, slots=True)
class BadDocument:
    """A line that is no usable document."""

    path: str
    """File that holds it."""
    line: int
    """Line in the file, counted from 1."""
    reason: str
    """What is wrong with it."""
    id: str | None = None
    """Its name, where that much could be read."""
    source: Any = None
    """Where it comes from, where that much could be read."""

    def error(self) -> DocumentError:
        """The error for a run that does not skip bad documents."""
        return DocumentError(f"{self.path}:{self.line}: {self.reason} (on_bad_document='skip' goes on without it)")


def read_lines(path: str) -> Generator[tuple[int, bytes]]:
    """The non-empty lines of `path` with their numbers, counted from 1; decompressed by the file's ending.

    Raises:
        StorageError: the file is not there or cannot be read.
        DocumentError: the compressed data are damaged or cut short; names the line where they end.
    """
    number = 0
    try:
        with open_read(path) as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line
    except DamagedFileError as error:
        place = f"{path}:{number + 1}"
        raise DocumentError(f"{place}: the compressed file is damaged from here on: {error.__cause__}") from error


def read_documents(path: str, columns: DocumentColumns) -> Generator[Document | BadDocument]:
    """One value for each non-empty line of `path`, in order: the document, or why it is none.

    Raises:
        StorageError: the file is not there or cannot be read.
        DocumentError: the compressed data are damaged or cut short; names the line where they end.
    """
    for number, line in read_lines(path):
        yield parse_document(path, number, line, columns)


def parse_document(path: str, number: int, line: bytes, columns: DocumentColumns) -> Document | BadDocument:
    """The document in `line`, which is line `number` of `path`."""
    row = _parse_object(line)
    if isinstance(row, str):
        return BadDocument(path, number, row)
    name, text, source = row.get(columns.id), row.get(columns.text), row.get(columns.source)
    if not isinstance(name, str) or not name:
        return BadDocument(path, number, _explain(columns.id, "a non-empty string", row), source=source)
    if not isinstance(text, str):
        return BadDocument(path, number, _explain(columns.text, "a string", row), name, source)
    return Document(path, number, name, text, source, row.get(columns.label), line)


def _parse_object(line: bytes) -> Mapping[str, Any] | str:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return f"not UTF-8: byte 0x{line[error.start]:02x} at column {error.start + 1}"
    except (json.JSONDecodeError, RecursionError) as error:
        return f"not JSON: {error}"
    if not isinstance(row, dict):
        return f"not a JSON object but {_kind(row)}"
    return cast(dict[str, Any], row)


def _explain(column: str, wanted: str, row: Mapping[str, Any]) -> str:
    if column not in row:
        return f"the document has no {column!r}; its keys are {', '.join(map(repr, row)) or 'none'}"
    given = "an empty string" if row[column] == "" else _kind(row[column])
    return f"{column!r} must be {wanted}, got {given}"


def _kind(value: object) -> str:
    kinds = {"dict": "an object", "list": "a list", "str": "a string", "bool": "a boolean", "NoneType": "null"}
    return kinds.get(type(value).__name__, "a number")
