import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from marin.errors import UsageError
from marin.execution.plan_command import plan
from marin.execution.script import ScriptFailed

WriteScript = Callable[[str], Path]

TWO_STEPS = """
first = ExecutorStep("raw/first", write, Config(versioned(1)))
second = ExecutorStep("second", write, Config([first / "out.txt"]))
if __name__ == "__main__":
    executor_main(steps=[second])
    print("the rest of", sys.argv[1:])
"""


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MARIN_PREFIX", raising=False)


def test_the_plan_as_a_table(write_script: WriteScript, tmp_path: Path) -> None:
    result = CliRunner().invoke(plan, [str(write_script(TWO_STEPS))])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "the rest of []",
        "step       state  reason         output path",
        "raw/first  run    no result yet  outputs/raw/first-1b138f",
        "second     run    no result yet  outputs/second-bda7ed",
    ]
    assert not (tmp_path / "outputs").exists()


def test_arguments_go_to_the_script(write_script: WriteScript) -> None:
    result = CliRunner().invoke(plan, [str(write_script(TWO_STEPS)), "--prefix", "/p", "--run_only", "first"])
    assert result.stdout.splitlines()[2:] == [
        "raw/first  run         no result yet             /p/raw/first-1b138f",
        "second     dependency  not selected by run_only  /p/second-bda7ed",
    ]


@pytest.mark.parametrize("before", [True, False])
def test_json(write_script: WriteScript, before: bool) -> None:
    script = str(write_script(TWO_STEPS.replace('    print("the rest of", sys.argv[1:])\n', "")))
    result = CliRunner().invoke(plan, ["--json", script] if before else [script, "--json"])
    assert [(step["step"], step["state"]) for step in json.loads(result.stdout)] == [
        ("raw/first", "run"),
        ("second", "run"),
    ]


def test_a_script_may_have_several_experiments(write_script: WriteScript) -> None:
    script = write_script("""
        executor_main(steps=[ExecutorStep("one", write, Config())])
        executor_main(steps=[ExecutorStep("two", write, Config())])
    """)
    result = CliRunner().invoke(plan, ["--json", str(script)])
    assert [step["step"] for step in json.loads(result.stdout)] == ["one", "two"]


def test_a_wrong_experiment_is_status_2(write_script: WriteScript) -> None:
    result = CliRunner().invoke(plan, [str(write_script('executor_main([ExecutorStep("", write, None)])'))])
    assert (result.exit_code, result.stderr) == (2, "error: the name of a step must not be empty\n")


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ("def broken(:", UsageError, r"experiment\.py, line \d+ is not valid Python: invalid syntax"),
        ("pass", UsageError, "ended without calling executor_main"),
        ("{}['x']", ScriptFailed, r"(?s)experiment\.py raised KeyError\n.*line \d+.*KeyError: 'x'"),
    ],
)
def test_scripts_that_give_no_plan(write_script: WriteScript, body: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        CliRunner().invoke(plan, [str(write_script(body))], catch_exceptions=False)


def test_a_missing_script_is_status_2() -> None:
    result = CliRunner().invoke(plan, ["nowhere.py"])
    assert result.exit_code == 2
    assert "'nowhere.py' does not exist" in result.stderr
