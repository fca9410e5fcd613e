import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from marin.classifiers.errors import InputError
from marin.errors import UsageError
from marin.processing.classification.consolidate import ConsolidateConfig, ScoreFilter, consolidate
from marin.processing.classification.inference import run_classification

pytestmark = pytest.mark.usefixtures("local_cluster")


@pytest.fixture
def scores(configure, tmp_path: Path) -> Path:
    run_classification(configure())
    return tmp_path / "scores"


@pytest.fixture
def keep(corpus, scores: Path, tmp_path: Path):
    def make(*, filters: tuple[ScoreFilter, ...] | None = None, **filter_values: Any) -> ConsolidateConfig:
        arguments: dict[str, Any] = {
            "attributes_path": str(scores),
            "attribute_name": "quality",
            "label": "long",
            "lower_threshold": 0.5,
        }
        return ConsolidateConfig(
            input_path=str(corpus.path),
            output_path=str(tmp_path / "kept"),
            filters=(ScoreFilter(**{**arguments, **filter_values}),) if filters is None else filters,
            max_workers=2,
        )

    return make


def rewrite(path: Path, change: Any) -> None:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in change(rows)))


def test_passing_documents_are_kept_unchanged_and_in_order(keep, corpus, read_rows, list_files, tmp_path) -> None:
    report = consolidate(keep())
    for name in corpus.names:
        assert read_rows(tmp_path / "kept" / name) == corpus.rows(name)[::3]
    assert (report.documents, report.kept, report.unscored) == (600, 200, 0)
    assert list_files(tmp_path / "kept") == sorted(["_report.json", *corpus.names])


def test_a_line_keeps_its_bytes(keep, corpus, scores: Path, configure, tmp_path: Path) -> None:
    line = b'{ "text":"%s",  "id" : "caf\\u00e9", "n": 1e3 }' % (b"x" * 900)
    corpus.write("a/1.jsonl", [line + b"\r"])
    run_classification(configure(overwrite=True))
    consolidate(keep())
    assert (tmp_path / "kept" / "a/1.jsonl").read_bytes() == line + b"\n"


def test_files_of_which_nothing_passes_are_empty_files(keep, corpus, tmp_path: Path) -> None:
    assert consolidate(keep(lower_threshold=0.4, upper_threshold=0.6)).kept == 0
    assert (tmp_path / "kept" / "a/1.jsonl").read_bytes() == b""
    assert gzip.decompress((tmp_path / "kept" / "a/0.jsonl.gz").read_bytes()) == b""


def test_both_thresholds_are_inclusive() -> None:
    band = ScoreFilter(attributes_path="x", attribute_name="q", label="a", lower_threshold=0.2, upper_threshold=0.6)
    assert [score for score in (0.1, 0.2, 0.4, 0.6, 0.61) if band.passes(score)] == [0.2, 0.4, 0.6]


def test_a_document_must_pass_every_filter(keep, scores: Path) -> None:
    common = {"attributes_path": str(scores), "attribute_name": "quality"}
    long = ScoreFilter(**common, label="long", lower_threshold=0.5)
    short = ScoreFilter(**common, label="short", upper_threshold=0.5)
    assert consolidate(keep(filters=(long, short))).kept == 200
    never = ScoreFilter(**common, label="short", lower_threshold=0.5)
    assert consolidate(keep(filters=(long, never))).kept == 0


def test_unscored_documents_are_not_kept(keep, corpus, configure) -> None:
    good = corpus.rows("a/1.jsonl")[0]
    corpus.write("a/1.jsonl", [good, {"id": "e", "text": ""}, b"[]", b'{"id": "x"}'])
    run_classification(configure(overwrite=True, on_bad_document="skip"))
    report = consolidate(keep(label="long", lower_threshold=0.0))
    file = next(file for file in report.files if file.path == "a/1.jsonl")
    assert (file.documents, file.kept, file.unscored) == (4, 1, 3)


def test_finished_files_are_kept_until_the_filters_change(keep, corpus, tmp_path: Path) -> None:
    consolidate(keep())
    (tmp_path / "kept" / corpus.names[3]).unlink()
    again = consolidate(keep())
    assert (again.reused_files, again.kept) == (3, 200)
    changed = consolidate(keep(lower_threshold=0.0))
    assert (changed.reused_files, changed.kept) == (0, 600)


def test_a_missing_attribute_and_a_missing_label(keep, list_files, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a/0\.jsonl\.gz:1: no attribute 'taste'; there is quality"):
        consolidate(keep(attribute_name="taste"))
    with pytest.raises(InputError, match=r":1: attribute 'quality' has no label 'good'; there is long, short"):
        consolidate(keep(label="good"))
    assert list_files(tmp_path / "kept") == ["_report.json"]


def test_a_missing_attribute_file(keep, scores: Path) -> None:
    (scores / "a/1.jsonl").unlink()
    with pytest.raises(InputError, match=r"a/1\.jsonl has no attribute file .*scores/a/1\.jsonl: classify"):
        consolidate(keep())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:-1], r"documents/a/1\.jsonl has more rows than .*scores/a/1\.jsonl"),
        (lambda rows: [*rows, rows[0]], r"scores/a/1\.jsonl has more rows than .*documents/a/1\.jsonl"),
        (lambda rows: [rows[1], rows[0], *rows[2:]], r"scores/a/1\.jsonl:1 has the id 'a/1\.jsonl#1', but .*:1 has"),
        (lambda rows: rows[:5] + rows[6:], r"scores/a/1\.jsonl:6 has the id 'a/1\.jsonl#6', but .*out of step"),
        (lambda rows: [{"id": rows[0]["id"]}, *rows[1:]], r"a/1\.jsonl:1: no row of an attribute file"),
    ],
)
def test_rows_out_of_step_are_refused(keep, scores: Path, list_files, tmp_path, change: Any, message: str) -> None:
    rewrite(scores / "a/1.jsonl", change)
    with pytest.raises(InputError, match=message):
        consolidate(keep())
    assert "a/1.jsonl" not in list_files(tmp_path / "kept")


def test_an_output_inside_the_input_is_refused(keep, corpus) -> None:
    config = ConsolidateConfig(input_path=str(corpus.path), output_path=str(corpus.path / "a"), filters=keep().filters)
    with pytest.raises(InputError, match="lies inside of the input folder"):
        consolidate(config)


def test_the_config_is_checked() -> None:
    common = {"attributes_path": "x", "attribute_name": "q", "label": "a"}
    with pytest.raises(UsageError, match="needs lower_threshold, upper_threshold or both"):
        ScoreFilter(**common)
    with pytest.raises(UsageError, match=r"lower_threshold must be in \[0, 1\], got 1\.5"):
        ScoreFilter(**common, lower_threshold=1.5)
    with pytest.raises(UsageError, match="filters must be at least one filter"):
        ConsolidateConfig(input_path="x", output_path="y", filters=())
