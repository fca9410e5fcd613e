from pathlib import Path

import pytest

from marin.classifiers.errors import InputError
from marin.classifiers.inputs import check_outside, list_inputs


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for name in (
        "b/2.jsonl.gz",
        "a/1.jsonl",
        "a/deep/3.jsonl.zst",
        "a/.hidden/4.jsonl",
        "a/5.jsonl.tmp.0a",
        "notes.txt",
    ):
        path = tmp_path / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "corpus"


def relative(path: str | list[str]) -> list[str]:
    return [file.relative for file in list_inputs(path)]


def test_a_folder_stands_for_its_document_files(corpus: Path) -> None:
    assert relative(str(corpus)) == ["a/1.jsonl", "a/deep/3.jsonl.zst", "b/2.jsonl.gz"]


def test_globs_and_files_are_relative_to_what_precedes_the_wildcard(corpus: Path) -> None:
    assert relative(f"{corpus}/*/*.jsonl*") == ["a/1.jsonl", "b/2.jsonl.gz"]
    assert relative(f"{corpus}/a/**/*.zst") == ["deep/3.jsonl.zst"]
    assert relative([f"{corpus}/a/1.jsonl", f"{corpus}/b/2.jsonl.gz"]) == ["1.jsonl", "2.jsonl.gz"]


def test_relative_paths_are_made_absolute(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(corpus)
    assert [file.path for file in list_inputs("a/*.jsonl")] == [f"{corpus}/a/1.jsonl"]


def test_a_file_found_twice_counts_once(corpus: Path) -> None:
    assert relative([str(corpus), f"{corpus}/**/*.jsonl"]) == ["a/1.jsonl", "a/deep/3.jsonl.zst", "b/2.jsonl.gz"]


def test_two_files_of_one_relative_path_are_refused(corpus: Path) -> None:
    (corpus / "b" / "1.jsonl").touch()
    with pytest.raises(InputError, match=r"a/1\.jsonl and .*b/1\.jsonl would both be written to 1\.jsonl"):
        list_inputs([f"{corpus}/a/*.jsonl", f"{corpus}/b/*.jsonl"])


@pytest.mark.parametrize("path", ["empty", "absent", "*.jsonl", "absent.jsonl"])
def test_no_files(tmp_path: Path, path: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no documents at"):
        list_inputs(str(tmp_path / path))


def test_another_format_is_refused(corpus: Path) -> None:
    with pytest.raises(InputError, match=r"notes\.txt is no document file"):
        list_inputs(f"{corpus}/*")


@pytest.mark.parametrize("pattern", ["", "/a", "/**/*.jsonl", "/a/1.jsonl"])
def test_an_output_inside_the_input_is_refused(corpus: Path, pattern: str) -> None:
    with pytest.raises(InputError, match="lies inside of the input folder"):
        check_outside(f"{corpus}/a/scores", f"{corpus}{pattern}")
    check_outside(f"{corpus}-scores", f"{corpus}{pattern}")
