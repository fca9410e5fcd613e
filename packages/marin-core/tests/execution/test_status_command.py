import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from marin.errors import UsageError
from marin.execution.executor import Executor, ExecutorStep, ExperimentFailed, versioned
from marin.execution.status_command import status


def fail(config: Any) -> None:
    raise ValueError("bad learning rate\nand more")


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MARIN_PREFIX", raising=False)


@pytest.fixture
def failed_run(tmp_path: Path) -> Executor:
    executor = Executor(str(tmp_path / "outputs"))
    broken = ExecutorStep("broken", fail, None)
    steps = [ExecutorStep("blocked", None, {"a": broken}), ExecutorStep("good", None, {"v": versioned(1)})]
    with pytest.raises(ExperimentFailed):
        executor.run(steps)
    return executor


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(status, arguments, catch_exceptions=False)


def listed(*arguments: str) -> dict[str, dict[str, Any]]:
    return {step["step"]: step for step in json.loads(invoke("--json", *arguments).stdout)}


def test_a_prefix(failed_run: Executor) -> None:
    steps = listed("outputs")
    assert {name: step["status"] for name, step in steps.items()} == {
        "broken": "FAILED",
        "blocked": "DEP_FAILED",
        "good": "SUCCESS",
    }
    assert steps["broken"]["error"].startswith("ValueError: bad learning rate\nand more (")
    assert steps["blocked"]["error"].startswith("needs step broken, which failed: ValueError")
    assert steps["good"]["error"] is None
    assert steps["good"]["seconds"] >= 0
    assert steps["good"]["finished"].startswith("20")
    assert listed() == steps


def test_the_table_has_one_line_per_step(failed_run: Executor) -> None:
    result = invoke()
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["step", "status", "finished", "seconds", "output", "path", "error"]
    assert len(lines) == 4
    [broken] = [line for line in lines if line.startswith("broken ")]
    assert broken.endswith("  ValueError: bad learning rate")
    assert " outputs/broken-" in broken


def test_an_experiment(failed_run: Executor) -> None:
    assert failed_run.executor_info_path is not None
    assert set(listed(failed_run.executor_info_path)) == {"broken", "blocked", "good"}


def test_an_output(failed_run: Executor) -> None:
    [good] = [path for step, path in failed_run.output_paths.items() if step.name == "good"]
    result = invoke(good)
    assert result.exit_code == 0
    assert "SUCCESS" in result.stdout


def test_an_output_of_ray_era_marin(tmp_path: Path) -> None:
    output = tmp_path / "old-123456"
    output.mkdir()
    events = [
        {"date": "2025-01-01T00:00:00.5", "status": "RUNNING", "message": None},
        {"date": "2025-01-01T00:01:00.5", "status": "SUCCESS", "message": None},
    ]
    (output / ".executor_status").write_text("\n".join(map(json.dumps, events)))
    [step] = listed(str(output)).values()
    assert (step["step"], step["status"], step["seconds"]) == ("old-123456", "SUCCESS", 60.0)


def test_a_step_that_has_not_run(failed_run: Executor, tmp_path: Path) -> None:
    [good] = [path for step, path in failed_run.output_paths.items() if step.name == "good"]
    Path(good, ".executor_status").unlink()
    assert listed()["good"] == {
        "step": "good",
        "status": None,
        "finished": None,
        "seconds": None,
        "attempts": 0,
        "output_path": good,
        "error": None,
    }


def test_marin_prefix_is_the_default(failed_run: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outputs").rename(tmp_path / "moved")
    with pytest.raises(UsageError, match="nothing is known at"):
        invoke()
    monkeypatch.setenv("MARIN_PREFIX", str(tmp_path / "moved"))
    assert set(listed()) == {"broken", "blocked", "good"}


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"nothing is known at {tmp_path}"):
        invoke(str(tmp_path))


def test_a_json_file_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[1]")
    with pytest.raises(UsageError, match=r"x\.json is not the record of an experiment"):
        invoke("x.json")
