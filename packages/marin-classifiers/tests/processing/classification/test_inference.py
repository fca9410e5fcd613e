import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from marin.classifiers.datasets import DatasetConfig
from marin.classifiers.errors import ClassificationError, DocumentError, InputError, ModelError
from marin.classifiers.protocol import TrainingConfig
from marin.classifiers.training import load_classifier, train_classifier
from marin.errors import UsageError
from marin.execution.progress import progress_sink
from marin.processing.classification.inference import EMPTY_TEXT, run_classification
from marin.storage import StorageError

pytestmark = pytest.mark.usefixtures("local_cluster")

BAD_LINES = [
    (b'{"text": "no id"}', None, "the document has no 'id'"),
    (b'{"id": "n", "text": null, "source": "web"}', "n", "'text' must be a string, got null"),
    (b'{"id": "u", "text": "\xff"}', None, "not UTF-8"),
    (b"[]", None, "not a JSON object"),
]


def test_every_document_has_a_row_in_its_place(configure, corpus, read_rows, list_files, tmp_path: Path) -> None:
    report = run_classification(configure())
    classifier = load_classifier(configure().model_path)
    for name in corpus.names:
        rows = corpus.rows(name)
        assert read_rows(tmp_path / "scores" / name) == [
            {"id": row["id"], "source": "web", "attributes": {"quality": classifier.predict([row["text"]])[0]}}
            for row in rows
        ]
    assert (report.documents, report.scored, report.empty, report.bad, report.reused_files) == (600, 600, 0, 0, 0)
    assert [file.path for file in report.files] == list(corpus.names)
    assert list_files(tmp_path / "scores") == sorted(["_report.json", *corpus.names])
    stored = json.loads((tmp_path / "scores" / "_report.json").read_text())
    assert stored["status"] == "complete"
    assert stored["documents"] == 600
    assert stored["files"] == [asdict(file) for file in report.files]


def test_the_model_is_loaded_once_by_all_threads_of_the_process(configure, corpus, tmp_path: Path) -> None:
    labelled = [
        {"id": f"{label}{index}", "text": "y" * (size + index), "label": label}
        for label, size in (("a", 40), ("b", 400))
        for index in range(20)
    ]
    (tmp_path / "new.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labelled))
    dataset = DatasetConfig(input_path=str(tmp_path / "new.jsonl"), validation_fraction=0.3)
    train_classifier(TrainingConfig(backend="length", dataset=dataset, output_path=str(tmp_path / "new")))
    report = run_classification(configure(model_path=str(tmp_path / "new")))
    assert (report.workers, report.model_loads) == (1, 1)


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_the_batch_size_changes_no_byte(configure, corpus, tmp_path: Path, batch_size: int) -> None:
    run_classification(configure())
    run_classification(configure(output_path=str(tmp_path / "other"), batch_size=batch_size, max_workers=1))
    for name in corpus.names:
        assert (tmp_path / "scores" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_a_run_that_was_stopped_goes_on_from_its_finished_files(configure, corpus, tmp_path: Path) -> None:
    scores = tmp_path / "scores"
    whole = run_classification(configure())
    done, counted = scores / corpus.names[0], scores / corpus.names[1]
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (done, counted)}
    for name in corpus.names[2:]:
        (scores / name).unlink()
    report = json.loads((scores / "_report.json").read_text())
    report["files"] = report["files"][:1]  # the run stopped before it had counted the second
    (scores / "_report.json").write_text(json.dumps(report))

    again = run_classification(configure())
    assert again.reused_files == 2
    assert again.files == whole.files
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before}
    assert run_classification(configure()).reused_files == 4


def test_scores_of_another_model_or_name_are_not_mixed(configure, corpus, tmp_path: Path) -> None:
    run_classification(configure())
    with pytest.raises(InputError, match=r"scores that were made with another attribute_name; choose another"):
        run_classification(configure(attribute_name="other"))
    run_classification(configure(attribute_name="other", overwrite=True))
    first = json.loads((tmp_path / "scores" / "a/1.jsonl").read_text().splitlines()[0])
    assert list(first["attributes"]) == ["other"]


def test_a_bad_document_fails_the_run_and_the_other_files_are_kept(configure, corpus, list_files, tmp_path) -> None:
    for line, _, reason in BAD_LINES:
        corpus.write("a/1.jsonl", [*corpus.rows("a/1.jsonl")[:70], line, *corpus.rows("a/1.jsonl")[70:]])
        with pytest.raises(DocumentError, match=rf"a/1\.jsonl:71: {reason}"):
            run_classification(configure())
        finished = [name for name in corpus.names if name != "a/1.jsonl"]
        assert list_files(tmp_path / "scores") == sorted(["_report.json", *finished])


def test_bad_and_empty_documents_keep_their_rows_where_asked(configure, corpus, read_rows, tmp_path: Path) -> None:
    empty = [{"id": f"e{index}", "text": text} for index, text in enumerate(["", " \n", "\0"])]
    good = corpus.rows("a/1.jsonl")
    corpus.write("a/1.jsonl", [good[0], *(line for line, _, _ in BAD_LINES), *empty, good[1]])
    report = run_classification(configure(on_bad_document="skip"))
    assert (report.documents, report.scored, report.empty, report.bad) == (459, 452, 3, 4)
    rows = read_rows(tmp_path / "scores" / "a/1.jsonl")
    assert rows[0]["id"] == good[0]["id"]
    assert rows[-1]["id"] == good[1]["id"]
    for row, (_, document_id, reason) in zip(rows[1:5], BAD_LINES, strict=True):
        assert (row["id"], row["attributes"]) == (document_id, {"quality": None})
        assert row["error"].startswith(reason)
    for row, document in zip(rows[5:8], empty, strict=True):
        assert row == {"id": document["id"], "source": None, "attributes": {"quality": None}, "error": EMPTY_TEXT}


def test_empty_documents_do_not_fail_a_strict_run(configure, corpus) -> None:
    corpus.write("a/1.jsonl", [{"id": "e", "text": ""}])
    assert run_classification(configure()).empty == 1


def test_files_without_documents(configure, corpus, tmp_path: Path) -> None:
    corpus.write("a/1.jsonl", [])
    corpus.write("a/0.jsonl.gz", [])
    assert run_classification(configure()).documents == 300
    assert (tmp_path / "scores" / "a/1.jsonl").read_bytes() == b""


def test_hostile_texts_and_ids(configure, corpus, read_rows, tmp_path: Path) -> None:
    lines = [b'{"id": "\\ud800", "text": "</s> __label__x \\udfff"}', b'{"id": "n", "text": "a", "score": NaN}']
    corpus.write("a/1.jsonl", lines)
    run_classification(configure())
    assert [row["id"] for row in read_rows(tmp_path / "scores" / "a/1.jsonl")] == ["\ud800", "n"]


def test_a_truncated_input_is_named(configure, corpus) -> None:
    path = corpus.path / "a/0.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DocumentError, match=r"a/0\.jsonl\.gz:\d+: the compressed file is damaged"):
        run_classification(configure(on_bad_document="skip"))


def test_a_model_that_is_missing_or_damaged(configure, list_files, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model at"):
        run_classification(configure(model_path=str(tmp_path / "absent")))
    copy = shutil.copytree(configure().model_path, tmp_path / "copy")
    card = json.loads((copy / "classifier.json").read_text())
    (copy / "classifier.json").write_text(json.dumps({**card, "files": {"length.json": "0" * 64}}))
    with pytest.raises(ModelError, match=r"length\.json is damaged"):
        run_classification(configure(model_path=str(copy)))
    assert list_files(tmp_path / "scores") == ["_report.json"]


def test_inputs_that_cannot_be(configure, corpus, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no documents at"):
        run_classification(configure(input_path=str(tmp_path / "empty")))
    with pytest.raises(InputError, match="lies inside of the input folder"):
        run_classification(configure(output_path=str(corpus.path / "scores")))


def test_an_output_folder_that_cannot_be_made(configure, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"cannot create the folder .*file/scores"):
        run_classification(configure(output_path=str(tmp_path / "file" / "scores")))


def test_an_output_file_that_cannot_be_written(configure, list_files, tmp_path: Path) -> None:
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "b").touch()  # where a folder must be
    with pytest.raises(ClassificationError, match=r"StorageError: cannot write .*scores/b/.*a new run goes on"):
        run_classification(configure())
    left = {path for path in list_files(tmp_path / "scores") if not path.startswith("a/")}
    assert left == {"_report.json", "b"}


def test_progress_counts_finished_files(configure) -> None:
    seen: list[tuple[int, int | None, str]] = []
    token = progress_sink.set(lambda done, total, unit: seen.append((done, total, unit)))
    try:
        run_classification(configure())
    finally:
        progress_sink.reset(token)
    assert seen[-1] == (4, 4, "files")


def test_relative_paths(configure, corpus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    report = run_classification(configure(input_path="documents/a/*", output_path="out"))
    assert report.output_path == os.path.join(tmp_path, "out")
    assert sorted(os.listdir("out")) == ["0.jsonl.gz", "1.jsonl", "_report.json"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("batch_size", 0), ("max_workers", 0), ("attribute_name", ""), ("on_bad_document", "drop")],
)
def test_the_config_is_checked(configure, field: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"{field} must be"):
        configure(**{field: value})
