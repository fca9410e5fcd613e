import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from marin.cli.main import cli
from marin.cluster.connect import CLUSTER_VARIABLE


@pytest.fixture
def labelled(write_rows) -> Path:
    rows = [
        {"id": f"{label}-{index}", "text": "x" * (size + index), "label": label, "source": "made"}
        for label, size in (("long", 1000), ("short", 10))
        for index in range(40)
    ]
    write_rows("corpus/1.jsonl.gz", rows[::2])
    return write_rows("corpus/0.jsonl", rows[1::2]).parent


@pytest.fixture
def classify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(CLUSTER_VARIABLE, raising=False)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["classify", *arguments])

    return run


def as_json(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


TRAIN = ("train", "corpus", "--output", "model", "--backend", "length", "--positive-label", "long")
RUN = ("run", "corpus", "--model", "model", "--output", "scores", "--attribute", "quality", "--cluster", "local")
CONSOLIDATE = (
    *("consolidate", "corpus", "--attributes", "scores", "--attribute", "quality", "--label", "long"),
    *("--lower-threshold", "0.5", "--output", "kept", "--cluster", "local"),
)


def test_train_run_and_consolidate(classify, labelled: Path) -> None:
    trained = classify(*TRAIN, "--validation-fraction", "0.25", "--set", "variance_floor=0.5")
    assert trained.exit_code == 0, trained.output
    assert "best threshold for long: " in trained.stdout
    assert json.loads((labelled.parent / "model/classifier.json").read_text())["options"] == {"variance_floor": 0.5}
    scored = classify(*RUN)
    assert scored.exit_code == 0, scored.output
    assert scored.stdout.splitlines()[1].split() == ["80", "80", "0", "0"]
    kept = classify(*CONSOLIDATE)
    assert kept.exit_code == 0, kept.output
    assert kept.stdout.splitlines()[1].split() == ["80", "40", "40", "0"]
    assert "files: 0 written, 2 kept from an earlier run; " in classify(*RUN).stdout


def test_json(classify, labelled: Path) -> None:
    assert as_json(classify(*TRAIN, "--json"))["labels"] == ["long", "short"]
    assert as_json(classify(*RUN, "--json"))["documents"] == 80
    assert as_json(classify(*CONSOLIDATE, "--json"))["kept"] == 40


def test_other_columns(classify, write_rows) -> None:
    rows = [
        {"name": f"{index}", "body": "x" * (10 + index + 500 * (index % 2)), "class": "ab"[index % 2]}
        for index in range(60)
    ]
    write_rows("corpus/0.jsonl", rows)
    columns = ("--id-column", "name", "--text-column", "body")
    as_json(classify(*TRAIN[:-2], "--json", *columns, "--label-column", "class"))
    assert as_json(classify(*RUN, "--json", *columns))["scored"] == 60


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*TRAIN, "--backend", "lenght"), "unknown classifier 'lenght'; did you mean 'length'?"),
        ((*TRAIN, "--set", "variance_floor"), "'variance_floor' is not NAME=VALUE"),
        ((*TRAIN, "--set", "floor=1"), "the back end length has no option 'floor'"),
        ((*TRAIN, "--validation-fraction", "2"), "validation_fraction must be above 0 and below 1, got 2.0"),
        ((*TRAIN, "--positive-label", "good"), "positive_label 'good' is not among the labels long, short"),
        (("train", "absent", "--output", "model"), "no documents at"),
        (RUN, "no model at"),
        (CONSOLIDATE, "has no attribute file"),
        ((*RUN[:-1], "nowhere"), "nowhere"),
        (("run", "corpus"), "Missing option '--model'"),
        (("train", "--output", "model"), "Missing argument 'INPUT...'"),
    ],
)
def test_mistakes_are_one_line_and_exit_with_2(classify, labelled: Path, arguments: Any, message: str) -> None:
    result = classify(*arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""


def test_bad_documents(classify, labelled: Path) -> None:
    as_json(classify(*TRAIN, "--json"))
    path = labelled / "0.jsonl"
    path.write_bytes(b'{"text": "no id"}\n' + path.read_bytes())
    failed = classify(*RUN)
    assert failed.exit_code == 2
    assert failed.stderr.startswith(f"error: {path}:1: the document has no 'id'")
    assert as_json(classify(*RUN, "--json", "--on-bad-document", "skip"))["bad"] == 1


def test_an_output_that_cannot_be_written_exits_with_1(classify, labelled: Path) -> None:
    (labelled.parent / "model").touch()
    result = classify(*TRAIN)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: cannot create the folder")


def test_help_of_every_command(classify) -> None:
    listing = classify("--help").output
    for name in ("train", "run", "consolidate"):
        assert name in listing
        assert f"classify {name} [OPTIONS] INPUT..." in classify(name, "--help").output


@pytest.mark.model
def test_the_installed_command(labelled: Path) -> None:
    marin = str(Path(sys.executable).with_name("marin"))
    command = [marin, "classify", "train", "corpus", "--output", "model"]
    result = subprocess.run(command, cwd=labelled.parent, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1].endswith("model folder: model")
