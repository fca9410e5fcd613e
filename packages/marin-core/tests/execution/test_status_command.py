import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from marin.errors import MarinError, UsageError
from marin.execution.executor import Executor, ExecutorStep, ExperimentFailed, PreviousTaskFailedError, versioned
from marin.execution.lease import Lease, LeaseLostError
from marin.execution.plan import PlanState
from marin.execution.status import STATUS_FILE, StepStatus, read_log
from marin.execution.status_command import status
from marin.execution.watch import FOREIGN_LOCK_FILE


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


def output_of(executor: Executor, name: str) -> str:
    [path] = [path for step, path in executor.output_paths.items() if step.name == name]
    return path


def statuses(output_path: str) -> list[str]:
    return [event.status for event in read_log(output_path).events]


def test_list_is_the_default_command(failed_run: Executor) -> None:
    assert invoke("list").stdout == invoke().stdout
    assert json.loads(invoke("list", "--json", "outputs").stdout) == json.loads(invoke("outputs", "--json").stdout)


class TestShow:
    def test_json(self, failed_run: Executor) -> None:
        result = invoke("show", "--json", output_of(failed_run, "broken"))
        shown = json.loads(result.stdout)
        assert result.exit_code == 0
        assert (shown["status"], shown["owner"], shown["record"]["name"]) == ("FAILED", None, "broken")
        assert [event["status"] for event in shown["events"]] == ["RUNNING", "FAILED"]

    def test_the_table_of_a_failed_step(self, failed_run: Executor) -> None:
        lines = invoke("show", output_of(failed_run, "broken")).stdout.splitlines()
        assert lines[0].split() == ["field", "value"]
        assert [line for line in lines if line.startswith("traceback ")]
        assert [line.split()[0] for line in lines[-2:]] == ["1", "1"]

    def test_the_table_names_dependencies(self, tmp_path: Path) -> None:
        first = ExecutorStep("first", None, None)
        executor = Executor(str(tmp_path / "outputs"))
        executor.run([ExecutorStep("second", None, {"a": first})])
        [line] = [
            line for line in invoke("show", output_of(executor, "second")).stdout.splitlines() if "depends on" in line
        ]
        assert "outputs/first-" in line

    def test_the_owner_of_a_running_step(self, tmp_path: Path) -> None:
        output = str(tmp_path / "step")
        Lease.acquire(output, read_log(output), version="v")
        assert json.loads(invoke("show", "--json", output).stdout)["owner"] == (
            f"process {os.getpid()} on {socket.gethostname()} (attempt 1)"
        )

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="it is not the output of a step"):
            invoke("show", str(tmp_path))


class TestUnlock:
    def test_a_live_owner_keeps_its_step_unless_forced(self, tmp_path: Path) -> None:
        output = str(tmp_path / "step")
        lease = Lease.acquire(output, read_log(output), version="v")
        with pytest.raises(MarinError, match=rf"process {os.getpid()} on .* runs the step at .*--force"):
            invoke("unlock", output)
        assert statuses(output) == ["RUNNING"]
        assert invoke("unlock", "--force", output).stdout.startswith("unlocked: step ")
        with pytest.raises(LeaseLostError):
            lease.commit(StepStatus.SUCCESS)
        assert statuses(output) == ["RUNNING", "CANCELLED"]

    def test_a_lock_of_marins_own_executor_is_freed(self, tmp_path: Path) -> None:
        output = tmp_path / "step"
        output.mkdir()
        (output / STATUS_FILE).write_text("RUNNING")
        lock = output / FOREIGN_LOCK_FILE
        lock.write_text(json.dumps({"worker_id": "host-7", "timestamp": time.time()}))
        with pytest.raises(MarinError, match="worker host-7 runs the step"):
            invoke("unlock", "step")
        invoke("unlock", "--force", "step")
        assert not lock.exists()
        assert read_log(str(output)).status == StepStatus.CANCELLED

    def test_a_step_that_does_not_run_is_left_alone(self, failed_run: Executor) -> None:
        output = output_of(failed_run, "good")
        assert invoke("unlock", output).stdout == "nothing to unlock: the step is SUCCESS\n"
        assert statuses(output) == ["RUNNING", "SUCCESS"]

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"nothing is known at .*: there is no \.executor_status"):
            invoke("unlock", str(tmp_path))


class TestRetry:
    def test_an_output_runs_again_whatever_its_status(self, tmp_path: Path) -> None:
        ran: list[Any] = []
        step = ExecutorStep("step", ran.append, None)
        executor = Executor(str(tmp_path / "outputs"))
        output = executor.run([step])[step]
        assert invoke("retry", output).stdout.startswith("runs again: step (outputs/step-")
        executor.run([step])
        assert len(ran) == 2
        assert statuses(output) == ["RUNNING", "SUCCESS", "WAITING", "RUNNING", "SUCCESS"]

    def test_of_an_experiment_only_what_has_failed(self, failed_run: Executor) -> None:
        assert failed_run.executor_info_path is not None
        lines = invoke("retry", failed_run.executor_info_path).stdout.splitlines()
        assert [line.split()[2] for line in lines] == ["broken", "blocked"]
        assert statuses(output_of(failed_run, "good")) == ["RUNNING", "SUCCESS"]
        assert invoke("retry", "outputs").stdout == "no step has failed at outputs\n"

    def test_it_does_not_count_as_a_failure_any_more(self, failed_run: Executor) -> None:
        [broken] = [step for step in failed_run.steps if step.name == "broken"]
        with pytest.raises(PreviousTaskFailedError):
            failed_run.run([broken], force_run_failed=False)
        invoke("retry", output_of(failed_run, "broken"))
        [planned] = [
            each for each in failed_run.plan([broken], force_run_failed=False).steps if each.node.step is broken
        ]
        assert (planned.state, planned.reason) == (PlanState.RUN, "marked to run again")

    def test_a_running_step_is_refused(self, tmp_path: Path) -> None:
        output = str(tmp_path / "step")
        lease = Lease.acquire(output, read_log(output), version="v")
        with pytest.raises(MarinError, match="so it cannot be marked to run again"):
            invoke("retry", output)
        lease.commit(StepStatus.SUCCESS)
        assert statuses(output) == ["RUNNING", "SUCCESS"]

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="nothing is known at"):
            invoke("retry", str(tmp_path))
