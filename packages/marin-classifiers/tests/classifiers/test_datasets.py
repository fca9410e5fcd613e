import json
from pathlib import Path
from typing import Any

import pytest

from marin.classifiers.datasets import Dataset, DatasetConfig, load_dataset, split_position
from marin.classifiers.errors import DatasetError, DocumentError, InputError
from marin.errors import UsageError
from marin.execution.steps import versioned


def row(name: int | str, label: str = "a", text: str | None = None) -> dict[str, Any]:
    return {"id": str(name), "text": f"text of {name}" if text is None else text, "label": label}


ROWS = [row(index, "ab"[index % 2]) for index in range(400)]


def load(path: Path, rows: list[Any], **options: Any) -> Dataset:
    lines = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in rows]
    (path / "labelled.jsonl").write_bytes(b"\n".join(lines))
    return load_dataset(DatasetConfig(input_path=str(path), **options))


def test_every_document_is_on_one_side(tmp_path: Path) -> None:
    dataset = load(tmp_path, ROWS, validation_fraction=0.25)
    texts = [example.text for example in (*dataset.train, *dataset.validation)]
    assert sorted(texts) == sorted(row["text"] for row in ROWS)
    report = dataset.report
    assert (report.files, report.documents, report.bad, report.leaked) == (1, 400, 0, 0)
    assert {label: report.train[label] + report.validation[label] for label in "ab"} == {"a": 200, "b": 200}
    for label in "ab":
        assert 30 <= report.validation[label] <= 70
    assert dataset.labels == ("a", "b")


def test_the_split_is_that_of_the_documented_hash(tmp_path: Path) -> None:
    dataset = load(tmp_path, ROWS, validation_fraction=0.25, seed=3)
    expected = {row["text"] for row in ROWS if split_position(3, row["id"]) < 0.25}
    assert {example.text for example in dataset.validation} == expected
    # SHA-256 of "3:0" begins with these eight bytes; the split of a corpus must never move.
    assert split_position(3, "0") == int("eab817087de37b4d", 16) / 2**64


def test_more_documents_move_none(tmp_path: Path) -> None:
    before = load(tmp_path, ROWS[:200])
    after = load(tmp_path, list(reversed(ROWS)))
    assert set(before.train) <= set(after.train)
    assert set(before.validation) <= set(after.validation)


def test_the_seed_changes_the_split(tmp_path: Path) -> None:
    assert set(load(tmp_path, ROWS).validation) != set(load(tmp_path, ROWS, seed=1).validation)


@pytest.mark.parametrize("fraction", [0.001, 0.999])
def test_every_label_is_on_both_sides(tmp_path: Path, fraction: float) -> None:
    report = load(tmp_path, ROWS[:6], validation_fraction=fraction).report
    assert min(*report.train.values(), *report.validation.values()) >= 1
    assert set(report.train) == set(report.validation) == {"a", "b"}


def test_texts_are_normalised(tmp_path: Path) -> None:
    dataset = load(tmp_path, [*ROWS, row("x", text="one\ntwo </s>")])
    assert "one two < /s>" in {example.text for example in (*dataset.train, *dataset.validation)}


def test_held_out_copies_of_training_texts_are_left_out_and_counted(tmp_path: Path) -> None:
    copies = [row(f"copy-{index}", "ab"[index % 2], f"text\nof {index}") for index in range(400)]
    dataset = load(tmp_path, [*ROWS, *copies], validation_fraction=0.3)
    assert dataset.report.leaked > 0
    assert not {example.text for example in dataset.train} & {example.text for example in dataset.validation}
    sizes = len(dataset.train) + len(dataset.validation) + dataset.report.leaked
    assert sizes == dataset.report.documents == 800


def test_a_label_whose_held_out_texts_are_all_copies_is_refused(tmp_path: Path) -> None:
    same = [row(f"b-{index}", "b", "the same text") for index in range(50)]
    with pytest.raises(DatasetError, match=r"no document with the label 'b' is left to validate with"):
        load(tmp_path, [row(index) for index in range(50)] + same)


BAD = [
    ({"text": "no id", "label": "a"}, "the document has no 'id'"),
    ({"id": "1", "text": "no label"}, "the document has no 'label'"),
    ({"id": "1", "text": "t", "label": None}, "the document has no 'label'"),
    ({"id": "1", "text": "t", "label": 1}, "'label' must be a non-empty string, got 1"),
    ({"id": "1", "text": "t", "label": " "}, "'label' must be a non-empty string"),
    ({"id": "1", "text": " \n", "label": "a"}, "'text' is empty"),
    (b'{"id": "1", "text": "\xff", "label": "a"}', "not UTF-8: byte 0xff"),
    (b"{", "not JSON"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD)
def test_a_bad_document_stops_the_run_and_is_named(tmp_path: Path, bad: Any, reason: str) -> None:
    with pytest.raises(DocumentError, match=r"labelled\.jsonl:2: ") as caught:
        load(tmp_path, [row(1), bad, *ROWS])
    assert reason in str(caught.value)


def test_bad_documents_are_skipped_and_counted_where_asked(tmp_path: Path) -> None:
    report = load(tmp_path, [*ROWS, *(bad for bad, _ in BAD)], on_bad_document="skip").report
    assert (report.documents, report.bad) == (len(ROWS) + len(BAD), len(BAD))


def test_no_labelled_document(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no labelled document in .*; 2 documents were skipped"):
        load(tmp_path, [{"id": "1", "text": "t"}, {"id": "2", "text": "t"}], on_bad_document="skip")
    with pytest.raises(DatasetError, match="no labelled document"):
        load(tmp_path, [])


def test_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"has the label 'a': a classifier needs at least two classes"):
        load(tmp_path, [row(index) for index in range(10)])


def test_a_label_with_one_document_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="label 'b' has one document"):
        load(tmp_path, [*(row(index) for index in range(10)), row("b", "b")])


def test_one_id_for_all_documents_of_a_label_is_refused(tmp_path: Path) -> None:
    rows = [*(row(index) for index in range(10)), row("b", "b", "1"), row("b", "b", "2")]
    with pytest.raises(DatasetError, match="all documents with the label 'b' have one id"):
        load(tmp_path, rows)


def test_no_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no documents at"):
        load_dataset(DatasetConfig(input_path=str(tmp_path)))


@pytest.mark.parametrize("fraction", [0, 1, -0.5, "half"])
def test_the_fraction_is_checked(fraction: Any) -> None:
    with pytest.raises(UsageError, match="validation_fraction must be above 0 and below 1, got"):
        DatasetConfig(input_path="x", validation_fraction=fraction)


def test_configs_may_hold_placeholders_of_the_executor() -> None:
    placeholder: Any = versioned(0.2)
    assert DatasetConfig(input_path="x", validation_fraction=placeholder).validation_fraction == placeholder
    with pytest.raises(UsageError, match="on_bad_document must be 'fail' or 'skip', got 'ignore'"):
        DatasetConfig(input_path="x", on_bad_document="ignore")  # pyright: ignore[reportArgumentType]  # the mistake
