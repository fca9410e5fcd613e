from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from marin.classifiers.documents import DocumentColumns
from marin.classifiers.errors import InputError
from marin.processing.classification.scores import KeptRows, ScoreColumn, read_scored
from marin.storage import StorageError

COLUMNS = DocumentColumns()


def documents(*names: str) -> list[dict[str, Any]]:
    return [{"id": name, "text": f"text of {name}"} for name in names]


def scores(**values: Any) -> list[dict[str, Any]]:
    return [{"id": name, "attributes": {"q": value}} for name, value in values.items()]


@pytest.fixture
def joined(write_rows: Callable[[str, list[Any]], Path]) -> Callable[..., list[tuple[str | None, Any]]]:
    def read(rows: list[dict[str, Any]], *columns: list[dict[str, Any]]) -> list[tuple[str | None, Any]]:
        path = str(write_rows("documents.jsonl", rows))
        attributes = [
            ScoreColumn(path=str(write_rows(f"scores{index}.jsonl", column)), attribute_name="q", label="good")
            for index, column in enumerate(columns)
        ]
        return [(document.id, values) for document, values in read_scored(path, COLUMNS, attributes)]

    return read


def test_each_document_comes_with_its_score_in_every_column(joined) -> None:
    assert joined(
        documents("a", "b"), scores(a={"good": 0.25}, b=None), scores(a={"good": 1, "bad": 0}, b={"good": 0.5})
    ) == [("a", (0.25, 1.0)), ("b", (None, 0.5))]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (scores(a={"good": 1}), r"documents\.jsonl has more rows than .*scores0\.jsonl"),
        (scores(a=None, b=None, c=None), r"scores0\.jsonl has more rows than .*documents\.jsonl"),
        (scores(b=None, a=None), r"scores0\.jsonl:1 has the id 'b', but .*documents\.jsonl:1 has 'a': .*out of step"),
        (scores(a=None, b={"bad": 1}), r"scores0\.jsonl:2: attribute 'q' has no label 'good'; there is bad"),
        (scores(a=None, b={}), r"scores0\.jsonl:2: attribute 'q' has no label 'good'; there is none"),
        (scores(a=None, b=[1]), r"scores0\.jsonl:2: attribute 'q' must be null or an object of labels, got \[1\]"),
        (scores(a={"good": 1.5}), r"scores0\.jsonl:1: attribute 'q' must give 'good' a number in \[0, 1\], got 1\.5"),
        (scores(a={"good": float("nan")}), r"scores0\.jsonl:1: .* a number in \[0, 1\], got nan"),
        (scores(a={"good": True}), r"scores0\.jsonl:1: .* a number in \[0, 1\], got True"),
        (scores(a={"good": "1"}), r"scores0\.jsonl:1: .* a number in \[0, 1\], got '1'"),
        ([{"id": "a", "attributes": {"r": None}}], r"scores0\.jsonl:1: no attribute 'q'; there is r"),
    ],
)
def test_what_is_no_score_of_the_document_is_refused(joined, rows: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        joined(documents("a", "b"), rows)


def test_kept_rows_are_found_by_id_and_in_order(write_rows) -> None:
    path = str(write_rows("documents.jsonl", documents("a", "b", "c", "b")))
    kept = KeptRows(str(write_rows("kept.jsonl", documents("b", "c"))), COLUMNS)
    assert [kept.take(document) for document, _ in read_scored(path, COLUMNS, [])] == [False, True, True, False]
    kept.check_empty(path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (documents("b", "a"), r"kept\.jsonl:2 \(id 'a'\) is not among the documents of .*documents\.jsonl"),
        (documents("x"), r"kept\.jsonl:1 \(id 'x'\) is not among"),
        ([{"text": "no id"}], r"kept\.jsonl:1 \(the document has no 'id'; its keys are 'text'\) is not among"),
    ],
)
def test_kept_rows_that_are_no_documents_are_refused(write_rows, rows: list[Any], message: str) -> None:
    path = str(write_rows("documents.jsonl", documents("a", "b")))
    kept = KeptRows(str(write_rows("kept.jsonl", rows)), COLUMNS)
    for document, _ in read_scored(path, COLUMNS, []):
        kept.take(document)
    with pytest.raises(InputError, match=message):
        kept.check_empty(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot read .*none\.jsonl: no such file"):
        KeptRows(str(tmp_path / "none.jsonl"), COLUMNS)
