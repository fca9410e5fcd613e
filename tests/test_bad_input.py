"""What users get wrong, through the real command: one clear line, the documented exit status, nothing half-written."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from marin.execution.status import read_status


def marin(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("MARIN_")}
    command = [sys.executable, "-m", "marin.cli", *arguments]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=100, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with labelled documents, and a model trained on them."""
    documents = [
        {"id": f"{label}-{number}", "text": "word " * (length + number), "label": label}
        for label, length in (("short", 2), ("long", 200))
        for number in range(20)
    ]
    (tmp_path / "labelled").mkdir()
    (tmp_path / "labelled/documents.jsonl").write_text("".join(f"{json.dumps(document)}\n" for document in documents))
    trained = marin(tmp_path, "classify", "train", "labelled", "--backend", "length", "--output", "model")
    assert trained.returncode == 0, trained.stderr
    (tmp_path / "documents").mkdir()
    return tmp_path


def classify(folder: Path, output: str = "scores") -> subprocess.CompletedProcess[str]:
    return marin(
        folder, "classify", "run", "documents", "--model", "model", "--output", output, "--attribute", "length"
    )


def check(result: subprocess.CompletedProcess[str], status: int, *messages: str) -> None:
    assert result.returncode == status, result.stderr
    for message in ("error: ", *messages):
        assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("content", "messages"),
    [
        (b'{"id": "a", "text": "gr\xfc\xdfe"}\n', ("documents.jsonl:1", "UTF-8")),
        (b'{"id": "a", "text": "x"}\n{"text": "no id"}\n', ("documents.jsonl:2", "'id'")),
        (b'{"id": "a", "text": "x"}\n{"id": "b", "te', ("documents.jsonl:2", "JSON")),
        (b'{"id": "a", "text": 7}\n', ("documents.jsonl:1", "'text'")),
    ],
)
def test_a_bad_document_is_named_by_file_and_line(folder: Path, content: bytes, messages: tuple[str, ...]):
    (folder / "documents/documents.jsonl").write_bytes(content)
    check(classify(folder), 2, *messages)
    assert list((folder / "scores").glob("*.jsonl*")) == []


def test_a_damaged_file_is_named(folder: Path):
    whole = gzip.compress(b"".join(b'{"id": "%d", "text": "word"}\n' % number for number in range(10_000)))
    (folder / "documents/documents.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    check(classify(folder), 2, "documents.jsonl.gz:", "damaged")
    assert list((folder / "scores").glob("*.jsonl*")) == []


def test_an_empty_corpus(folder: Path):
    check(classify(folder), 2, "no documents at", "documents")
    assert not (folder / "scores").exists()


def test_an_output_that_cannot_be_written(folder: Path):
    (folder / "documents/documents.jsonl").write_text('{"id": "a", "text": "x"}\n')
    (folder / "file").write_text("in the way")
    check(classify(folder, "file/scores"), 1, "file/scores")
    assert (folder / "file").read_text() == "in the way"


def test_an_unknown_plug_in_has_its_near_match(tmp_path: Path):
    check(
        marin(tmp_path, "classify", "train", "x", "--backend", "fastext", "--output", "m"), 2, "did you mean 'fasttext'"
    )
    assert not (tmp_path / "m").exists()


EXPERIMENT = """
from dataclasses import dataclass
from marin.execution.executor import THIS_OUTPUT_PATH, ExecutorStep, executor_main, output_path_of

@dataclass(frozen=True)
class Config:
    output_path: str = THIS_OUTPUT_PATH
    source: object = None

def fail(config):
    raise ValueError("no such language")

def write(config):
    open(config.output_path + "/out.txt", "w").close()

first = ExecutorStep(name="first", fn=fail, config=Config())
executor_main(steps=[ExecutorStep(name="second", fn=write, config=Config(source=output_path_of(first)))])
"""


def test_a_step_that_raises(tmp_path: Path):
    (tmp_path / "experiment.py").write_text(EXPERIMENT)
    result = marin(tmp_path, "run", "experiment.py")
    check(
        result,
        1,
        "step first failed: ValueError: no such language",
        "experiment.py:11",
        "not run because of it: second",
    )
    outputs = [path.parent for path in tmp_path.rglob(".executor_status")]
    states = {output.name.split("-")[0]: read_status(str(output)) for output in outputs}
    assert states == {"first": "FAILED", "second": "DEP_FAILED"}
    assert not list(tmp_path.rglob("out.txt"))


def test_a_prefix_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "experiment.py").write_text(EXPERIMENT)
    (tmp_path / "file").write_text("in the way")
    check(marin(tmp_path, "run", "experiment.py", "--prefix", "file/outputs"), 1, "file/outputs")
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.parametrize(
    ("url", "status", "message"),
    [
        ("slurm://head", 2, "no cluster back end serves 'slurm://head'"),
        ("iris-local?worker=2", 2, "unknown option worker; known: workers"),
        ("iris://127.0.0.1:9", 4, "no Iris controller answers at iris://127.0.0.1:9"),
    ],
)
def test_a_cluster_that_is_not_there(tmp_path: Path, url: str, status: int, message: str):
    (tmp_path / "experiment.py").write_text(EXPERIMENT)
    check(marin(tmp_path, "run", "--cluster", url, "experiment.py"), status, message)
    assert not (tmp_path / "outputs").exists()
    check(marin(tmp_path, "run", "experiment.py", "--cluster", url), status, message)
    assert not list(tmp_path.rglob("out.txt"))
