"""What the page of an experiment is given: the record, and how far the steps are."""

import json
from pathlib import Path
from typing import Any

import pytest

from marin.errors import UsageError
from marin.execution.executor import Executor, ExecutorStep, ExperimentFailed, versioned
from marin.execution.experiment_loader import ExperimentLoader
from marin.execution.holders import Holder
from marin.execution.lease import Lease
from marin.execution.page.data import StepData
from marin.execution.status import StepStatus, read_log


def fail(config: Any) -> None:
    raise ValueError("bad learning rate")


def steps(lr: float = 0.1) -> list[ExecutorStep[Any]]:
    broken = ExecutorStep("broken", fail, None)
    return [ExecutorStep("blocked", None, {"a": broken}), ExecutorStep("good", None, {"lr": versioned(lr)})]


@pytest.fixture
def failed_run(executor: Executor) -> Executor:
    with pytest.raises(ExperimentFailed):
        executor.run(steps())
    return executor


def record_path(executor: Executor) -> str:
    assert executor.executor_info_path is not None
    return executor.executor_info_path


def loaded(executor: Executor) -> dict[str, StepData]:
    return {step.name: step for step in ExperimentLoader(record_path(executor)).load().steps}


def test_states_errors_and_tracebacks(failed_run: Executor) -> None:
    found = loaded(failed_run)
    assert {name: (step.state, step.attempts) for name, step in found.items()} == {
        "broken": (StepStatus.FAILED, 1),
        "blocked": (StepStatus.DEP_FAILED, found["blocked"].attempts),
        "good": (StepStatus.SUCCESS, 1),
    }
    broken, blocked, good = found["broken"], found["blocked"], found["good"]
    assert broken.error is not None
    assert broken.error.startswith("ValueError: bad learning rate")
    assert broken.traceback is not None
    assert "in fail" in broken.traceback
    assert set(broken.files) == {"record", "events", "traceback"}
    assert blocked.dependencies == (broken.id,)
    assert blocked.traceback is None
    assert (good.error, good.owner, good.cached) == (None, None, False)
    assert good.seconds is not None
    assert good.seconds >= 0


def test_cached_steps_and_changes(failed_run: Executor) -> None:
    again = Executor(failed_run.prefix)
    with pytest.raises(ExperimentFailed):
        again.run(steps())
    assert {name: step.cached for name, step in loaded(again).items()} == {
        "broken": False,
        "blocked": False,
        "good": True,
    }
    changed = Executor(failed_run.prefix)
    with pytest.raises(ExperimentFailed):
        changed.run(steps(0.2))
    assert loaded(changed)["good"].changes == ("lr: 0.1 -> 0.2",)


def test_a_running_step_has_an_owner(failed_run: Executor) -> None:
    output = loaded(failed_run)["good"].output_path
    Lease.acquire(output, read_log(output), version="v")
    good = loaded(failed_run)["good"]
    assert good.state == StepStatus.RUNNING
    assert good.owner == f"{Holder.current()} (attempt 2)"
    assert good.ended is None


def test_a_step_whose_process_is_dead_is_shown_as_cancelled(failed_run: Executor) -> None:
    output = loaded(failed_run)["good"].output_path
    current = Holder.current()
    # A process of this id has not started then, so that its holder has ended.
    dead = Holder(host=current.host, machine=current.machine, pid=current.pid, started=current.started + 1)
    Lease.acquire(output, read_log(output), version="v", holder=dead)
    good = loaded(failed_run)["good"]
    assert (good.state, good.owner) == (StepStatus.CANCELLED, None)
    assert good.error == "the run that ran it did not end"


def test_the_record_says_how_the_run_ended(failed_run: Executor) -> None:
    path = Path(record_path(failed_run))
    record = json.loads(path.read_text())
    assert record["ended_date"] >= record["created_date"]
    assert (record["adopted"], record["region_overrides"]) == ([], [])
    found = {step["name"]: step for step in record["steps"]}
    assert found["good"]["seconds"] >= 0
    assert (found["good"]["error"], found["good"]["blocked_by"]) == (None, None)
    assert found["broken"]["error"].startswith("ValueError: bad learning rate")
    assert (found["blocked"]["blocked_by"], found["blocked"]["seconds"]) == ("broken", None)


def test_the_page_lies_beside_the_record(failed_run: Executor) -> None:
    assert failed_run.write_page() == str(Path(record_path(failed_run)).with_suffix(".html"))
    page = Path(record_path(failed_run)).with_suffix(".html").read_text()
    assert "bad learning rate" in page


@pytest.mark.parametrize("record", ["[]", "{}", '{"steps": [{"name": "step"}]}'])
def test_what_is_no_record(tmp_path: Path, record: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(record)
    with pytest.raises(UsageError, match=r"x\.json is not the record of an experiment"):
        ExperimentLoader(str(path)).load()
