"""Runs through `Executor.run`: scheduling, failures and what they leave on disk."""

import json
import os
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from marin.execution.attempts import TRACEBACK_FILE
from marin.execution.executor import (
    THIS_OUTPUT_PATH,
    Executor,
    ExecutorStep,
    ExperimentFailed,
    PlanError,
    StepFailed,
    versioned,
)
from marin.execution.records import INFO_FILE
from marin.execution.status import StatusEvent, StepStatus, read_log, read_status
from marin.storage import StorageError


@dataclass(frozen=True)
class C:
    a: Any = None
    output_path: str = THIS_OUTPUT_PATH


def fail(config: C) -> None:
    (Path(config.output_path) / "partial.txt").write_text("half")
    raise ValueError("bad learning rate")


class Log:
    """Functions for steps, and the order in which they ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def step(self, name: str, inputs: Any = None, **options: Any) -> ExecutorStep[Any]:
        def run(config: C) -> None:
            self.ran.append(name)
            (Path(config.output_path) / "out.txt").write_text(name)

        return ExecutorStep(name, run, C(inputs), **options)


@pytest.fixture
def log() -> Log:
    return Log()


def status_of(executor: Executor, step: ExecutorStep[Any]) -> StepStatus | None:
    return read_status(executor.output_paths[step])


def events_of(executor: Executor, step: ExecutorStep[Any]) -> list[StatusEvent]:
    return read_log(executor.output_paths[step]).events


def test_steps_run_after_what_they_need_and_once(executor: Executor, log: Log) -> None:
    first = log.step("first")
    second = log.step("second", [first])
    third = log.step("third", {"a": first, "b": second})
    paths = executor.run([third])
    assert log.ran == ["first", "second", "third"]
    assert Path(paths[second], "out.txt").read_text() == "second"
    assert status_of(executor, third) == StepStatus.SUCCESS
    assert [event.status for event in events_of(executor, third)] == ["RUNNING", "SUCCESS"]

    assert Executor(executor.prefix).run([third]) == paths
    assert log.ran == ["first", "second", "third"]


def test_a_changed_version_runs_with_what_depends_on_it(tmp_path: Path, log: Log) -> None:
    def experiment(value: int) -> ExecutorStep[Any]:
        return log.step("last", [log.step("changed", versioned(value)), log.step("same")])

    Executor(str(tmp_path)).run([experiment(1)])
    log.ran.clear()
    Executor(str(tmp_path)).run([experiment(2)])
    assert sorted(log.ran) == ["changed", "last"]


def test_the_config_reaches_the_function_with_paths(executor: Executor) -> None:
    seen: list[Any] = []
    up: ExecutorStep[Any] = ExecutorStep("up", None, None)
    step = ExecutorStep("step", seen.append, C([up / "x", versioned(3)]))
    paths = executor.run([step])
    assert seen == [C([f"{paths[up]}/x", 3], paths[step])]
    assert status_of(executor, up) == StepStatus.SUCCESS


def test_a_failure_is_recorded_with_its_root_cause_in_all_dependents(executor: Executor, log: Log) -> None:
    broken = ExecutorStep("broken", fail, C())
    near = log.step("near", broken)
    far = log.step("far", near)
    with pytest.raises(ExperimentFailed) as caught:
        executor.run([far])
    [error] = caught.value.exceptions
    assert isinstance(error, StepFailed)
    assert (error.step_name, error.dependents) == ("broken", ("near", "far"))
    assert (error.failure.type, error.failure.message) == ("ValueError", "bad learning rate")
    line = fail.__code__.co_firstlineno + 2
    assert error.failure.location == f"{__file__}:{line}"
    assert f"step broken failed: ValueError: bad learning rate ({__file__}:{line})" in str(caught.value)

    assert log.ran == []
    assert status_of(executor, broken) == StepStatus.FAILED
    assert "ValueError: bad learning rate" in Path(executor.output_paths[broken], TRACEBACK_FILE).read_text()
    for blocked in (near, far):
        assert status_of(executor, blocked) == StepStatus.DEP_FAILED
        message = events_of(executor, blocked)[-1].message
        assert message is not None
        assert message.startswith("needs step broken, which failed: ValueError: bad learning rate")


def test_independent_steps_go_on_and_all_failures_are_raised(executor: Executor, log: Log) -> None:
    broken = [ExecutorStep(f"broken{index}", fail, C()) for index in range(3)]
    good = log.step("good")
    after_good = log.step("after_good", good)
    blocked = log.step("blocked", [good, broken[0], broken[1]])
    with pytest.raises(ExperimentFailed, match="3 of 5 steps that ran failed") as caught:
        executor.run([*broken, after_good, blocked])
    assert log.ran == ["good", "after_good"]
    assert sorted(error.step_name for error in caught.value.exceptions) == ["broken0", "broken1", "broken2"]
    # The step that two failures block is reported once.
    assert [error.dependents for error in caught.value.exceptions].count(("blocked",)) == 1


def test_failures_can_be_caught_as_a_group(executor: Executor) -> None:
    names: list[str] = []
    try:
        executor.run([ExecutorStep("broken", fail, C())])
    except* StepFailed as group:
        names = [error.step_name for error in group.exceptions if isinstance(error, StepFailed)]
    assert names == ["broken"]


def test_fail_fast_starts_nothing_more(executor: Executor, log: Log) -> None:
    broken = ExecutorStep("broken", fail, C())
    ready, later = log.step("ready"), log.step("later")
    last = log.step("last", later)
    with pytest.raises(ExperimentFailed):
        executor.run([broken, ready, last], fail_fast=True, max_concurrent=1)
    assert log.ran == []
    assert [status_of(executor, step) for step in (ready, later, last)] == [None, None, None]


def test_a_failed_step_runs_again_over_what_it_left(executor: Executor) -> None:
    attempts: list[list[str]] = []

    def flaky(config: C) -> None:
        attempts.append(sorted(path.name for path in Path(config.output_path).glob("*.txt")))
        if len(attempts) == 1:
            fail(config)

    step = ExecutorStep("flaky", flaky, C())
    with pytest.raises(ExperimentFailed):
        executor.run([step])
    executor.run([step])
    assert attempts == [[], ["partial.txt"]]
    assert status_of(executor, step) == StepStatus.SUCCESS
    assert [event.status for event in events_of(executor, step)] == [
        "RUNNING",
        "FAILED",
        "RUNNING",
        "SUCCESS",
    ]


@pytest.mark.parametrize("code", [0, 3, "no data"])
def test_system_exit_in_a_step_is_its_failure(executor: Executor, code: Any) -> None:
    def leave(config: C) -> None:
        raise SystemExit(code)

    step = ExecutorStep("leave", leave, C())
    with pytest.raises(ExperimentFailed, match=f"step leave failed: SystemExit: {code}"):
        executor.run([step])
    assert status_of(executor, step) == StepStatus.FAILED


def test_an_interrupt_cancels_what_runs(executor: Executor, log: Log) -> None:
    started, release, body_ended = threading.Event(), threading.Event(), threading.Event()

    def wait(config: C) -> None:
        started.set()
        release.wait()
        body_ended.set()

    def interrupt(config: C) -> None:
        started.wait()
        raise KeyboardInterrupt

    waiting, interrupted = ExecutorStep("waiting", wait, C()), ExecutorStep("interrupted", interrupt, C())
    after = log.step("after", waiting)
    with pytest.raises(KeyboardInterrupt):
        executor.run([waiting, interrupted, after])
    assert [status_of(executor, step) for step in (waiting, interrupted, after)] == ["CANCELLED", "CANCELLED", None]

    # A body that ends after its step was cancelled does not turn it into a result.
    release.set()
    assert body_ended.wait(60)
    for thread in threading.enumerate():
        if thread.name.startswith("step thread"):
            thread.join()
    assert status_of(executor, waiting) == StepStatus.CANCELLED


def test_as_many_steps_run_at_a_time_as_allowed_and_no_more(executor: Executor) -> None:
    lock = threading.Lock()
    three_run = threading.Barrier(3)
    running, most = 0, 0

    def count(config: C) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        three_run.wait()
        with lock:
            running -= 1

    executor.run([ExecutorStep(f"s{index}", count, C(versioned(index))) for index in range(9)], max_concurrent=3)
    assert most == 3


def test_a_step_starts_when_its_own_dependencies_are_done(executor: Executor) -> None:
    """A slow branch does not hold up a fast one: the slow step ends only after the fast branch has."""
    fast_branch_done = threading.Event()
    slow = ExecutorStep("slow", lambda config: fast_branch_done.wait(), C())
    fast = ExecutorStep("fast", lambda config: None, C())
    after_fast = ExecutorStep("after_fast", lambda config: fast_branch_done.set(), C(fast))
    executor.run([slow, after_fast])
    assert fast_branch_done.is_set()


def test_a_long_chain_and_a_wide_fan_run(executor: Executor, log: Log) -> None:
    last = log.step("s0")
    for index in range(1, 200):
        last = log.step(f"s{index}", last)
    fan = [log.step(f"fan{index}", versioned(index)) for index in range(200)]
    executor.run([log.step("end", [last, *fan])])
    assert len(log.ran) == 401
    assert [name for name in log.ran if name.startswith("s")] == [f"s{index}" for index in range(200)]


def test_max_concurrent_must_be_positive(executor: Executor, log: Log) -> None:
    with pytest.raises(PlanError, match="max_concurrent must be at least 1, got 0"):
        executor.run([log.step("a")], max_concurrent=0)
    assert log.ran == []


def test_a_dry_run_runs_and_writes_nothing(executor: Executor, log: Log) -> None:
    step = log.step("a", log.step("b"))
    paths = executor.run([step], dry_run=True)
    assert log.ran == []
    assert set(paths) >= {step}
    assert not Path(executor.prefix).exists()


def test_run_only_runs_the_selected(executor: Executor, log: Log) -> None:
    first = log.step("first")
    executor.run([log.step("second", first), log.step("third", first)], run_only=["second"])
    assert log.ran == ["first", "second"]


def test_a_corrupted_status_does_not_stop_the_run(executor: Executor, log: Log) -> None:
    steps = [log.step(f"s{index}", versioned(index)) for index in range(3)]
    executor.run(steps)
    log.ran.clear()
    status_file = Path(executor.output_paths[steps[1]], ".executor_status")
    status_file.write_bytes(b"\xff\x00garbage")
    os.utime(status_file, (1e9, 1e9))
    executor.run(steps)
    assert log.ran == ["s1"]


def test_a_prefix_that_cannot_be_written_stops_before_any_body(tmp_path: Path, log: Log) -> None:
    (tmp_path / "file").write_text("in the way")
    executor = Executor(str(tmp_path / "file" / "prefix"))
    with pytest.raises(StorageError, match=str(tmp_path / "file")):
        executor.run([log.step("a")])
    assert log.ran == []


def test_an_output_that_cannot_be_written_stops_before_any_body(executor: Executor, log: Log) -> None:
    # Nobody can make folders in /proc, not even root.
    steps = [log.step("good"), log.step("bad", override_output_path="/proc/marin-output")]
    with pytest.raises(StorageError, match="cannot create the folder /proc/marin-output"):
        executor.run(steps)
    assert log.ran == []
    assert list(Path(executor.executor_info_base_path).glob("*.json"))


def test_a_success_that_cannot_be_recorded_is_a_failure(executor: Executor, log: Log) -> None:
    def sabotage(config: C) -> None:
        shutil.rmtree(config.output_path)
        Path(config.output_path).write_text("in the way")

    step = ExecutorStep("sabotage", sabotage, C())
    with pytest.raises(ExperimentFailed, match=r"step sabotage failed: StorageError: .*\.executor_status"):
        executor.run([step, log.step("other")])
    assert log.ran == ["other"]


def test_runs_on_storage_that_is_not_local(log: Log) -> None:
    seen: list[str] = []
    step = ExecutorStep("a", lambda config: seen.append(config.output_path), C())
    Executor("memory://experiment-test").run([step])
    Executor("memory://experiment-test").run([step])
    [path] = seen
    assert path.startswith("memory://experiment-test/a-")
    assert read_status(path) == StepStatus.SUCCESS


def test_records_of_a_run(executor: Executor) -> None:
    up = ExecutorStep("up", len, {"value": versioned({2, 1}), "hook": lambda: 1}, description="Up")
    top = ExecutorStep("top", len, [up])
    executor.run([top])
    info = json.loads(Path(executor.output_paths[up], INFO_FILE).read_text())
    assert info["fn_name"] == "builtins.len"
    assert info["version"] == {"name": "up", "config": {"value": "{1, 2}"}, "dependencies": []}
    assert len(info["version_digest"]) == 64
    assert info["description"] == "Up"

    assert executor.executor_info_path is not None
    record = json.loads(Path(executor.executor_info_path).read_text())
    assert [step["name"] for step in record["steps"]] == ["up", "top"]
    assert record["steps"][1]["config"] == [executor.output_paths[up]]
    assert record["steps"][1]["dependencies"] == [executor.output_paths[up]]
    assert record["prefix"] == executor.prefix


def test_the_record_of_the_same_steps_has_the_same_name(tmp_path: Path, log: Log) -> None:
    paths: list[str | None] = []
    for value in (1, 1, 2):
        executor = Executor(str(tmp_path))
        executor.run([log.step("a", versioned(value))])
        paths.append(executor.executor_info_path)
    assert paths[0] == paths[1] != paths[2]
