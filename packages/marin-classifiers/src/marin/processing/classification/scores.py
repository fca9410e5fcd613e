"""Documents and their scores, joined row by row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from marin.classifiers.documents import BadDocument, Document, DocumentColumns, read_documents
from marin.classifiers.errors import InputError
from marin.processing.classification.files import read_attributes


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreColumn:
    """One probability of every row of an attribute file."""

    path: str
    """The attribute file."""
    attribute_name: str
    """Name of the scores."""
    label: str
    """The label whose probability is read."""


@dataclass(frozen=True, slots=True)
class _Score:
    line: int
    id: str | None
    value: float | None


def read_scored(
    path: str, columns: DocumentColumns, scores: Sequence[ScoreColumn]
) -> Iterator[tuple[Document | BadDocument, tuple[float | None, ...]]]:
    """Each document of the file `path` with its probability in each of `scores`; None where it has none.

    Rows are joined by position, and their ids are compared row by row.

    Raises:
        InputError: an attribute file has other rows than the documents, lacks the attribute or the label, or holds
            something else than a probability; names the file and the line.
        StorageError: a file is missing or cannot be read.
    """
    rows = [_read_scores(column) for column in scores]
    for document in read_documents(path, columns):
        yield (
            document,
            tuple(
                _in_step(document, next(row, None), column.path).value for row, column in zip(rows, scores, strict=True)
            ),
        )
    for row, column in zip(rows, scores, strict=True):
        if next(row, None) is not None:
            raise InputError(f"{column.path} has more rows than {path}: classify the documents again")


class KeptRows:
    """The rows of a file that holds some of the documents of another one, in their order."""

    def __init__(self, path: str, columns: DocumentColumns) -> None:
        self._rows = read_documents(path, columns)
        self._next = next(self._rows, None)

    def take(self, document: Document | BadDocument) -> bool:
        """Whether `document` is there; asked of every document of the input, in order. Rows are found by their ids.

        Raises:
            StorageError: the file cannot be read.
        """
        if self._next is None or not isinstance(document, Document) or self._next.id != document.id:
            return False
        self._next = next(self._rows, None)
        return True

    def check_empty(self, path: str) -> None:
        """Refuse rows that no document of the file `path` took.

        Raises:
            InputError: there are such rows; names the first.
        """
        if self._next is None:
            return
        row = self._next
        named = row.reason if isinstance(row, BadDocument) else f"id {row.id!r}"
        raise InputError(
            f"{row.path}:{row.line} ({named}) is not among the documents of {path}, or not in their order: "
            "consolidate the documents again"
        )


def _in_step(document: Document | BadDocument, row: _Score | None, path: str) -> _Score:
    if row is None:
        raise InputError(f"{document.path} has more rows than {path}: classify the documents again")
    if row.id != document.id:
        raise InputError(
            f"{path}:{row.line} has the id {row.id!r}, but {document.path}:{document.line} has {document.id!r}: "
            "the files are out of step; classify the documents again"
        )
    return row


def _read_scores(column: ScoreColumn) -> Iterator[_Score]:
    for line, row in read_attributes(column.path):
        attributes: dict[str, Any] = row["attributes"]
        if column.attribute_name not in attributes:
            raise InputError(
                f"{column.path}:{line}: no attribute {column.attribute_name!r}; "
                f"there is {', '.join(attributes) or 'none'}"
            )
        labels: Any = attributes[column.attribute_name]
        yield _Score(line, row.get("id"), None if labels is None else _probability(column, line, labels))


def _probability(column: ScoreColumn, line: int, labels: Any) -> float:
    where = f"{column.path}:{line}: attribute {column.attribute_name!r}"
    if not isinstance(labels, dict):
        raise InputError(f"{where} must be null or an object of labels, got {labels!r}")
    known = cast(dict[str, Any], labels)
    if column.label not in known:
        raise InputError(f"{where} has no label {column.label!r}; there is {', '.join(known) or 'none'}")
    value = known[column.label]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InputError(f"{where} must give {column.label!r} a number in [0, 1], got {value!r}")
    return float(value)
