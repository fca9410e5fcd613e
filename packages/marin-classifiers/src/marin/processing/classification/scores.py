"""Documents and their scores, joined row by row."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

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
        yield document, tuple(
            _in_step(document, next(row, None), column.path).value for row, column in zip(rows, scores, strict=True)
        )
    for row, column in zip(rows, scores, strict=True):
        if next(row, None) is not None:
            raise InputError(f"{column.path} has more rows than {path}: classify the documents again")


def mark_kept(
    path: str, columns: DocumentColumns, kept_path: str, documents: Iterator[Document | BadDocument]
) -> Iterator[bool]:
    """Whether each of `documents`, those of the file `path`, is in the file `kept_path`, which holds some of them.

    The kept documents are found by their ids, in the order of the input.

    Raises:
        InputError: `kept_path` holds a row that is not among the documents at its place; names file and line.
        StorageError: `kept_path` is missing or cannot be read.
    """
    kept = read_documents(kept_path, columns)
    wanted = next(kept, None)
    for document in documents:
        found = wanted is not None and isinstance(document, Document) and document.id == wanted.id
        yield found
        if found:
            wanted = next(kept, None)
    if wanted is not None:
        named = wanted.reason if isinstance(wanted, BadDocument) else f"the id {wanted.id!r}"
        raise InputError(
            f"{wanted.path}:{wanted.line} ({named}) is not among the documents of {path}, or out of their order: "
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
    if column.label not in labels:
        raise InputError(f"{where} has no label {column.label!r}; there is {', '.join(map(str, labels)) or 'none'}")
    value: Any = labels[column.label]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InputError(f"{where} must give {column.label!r} a number in [0, 1], got {value!r}")
    return float(value)
