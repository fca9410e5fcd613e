"""What goes wrong while experiments run: processes that die, race, stop or fork, and storage that fails."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from marin.execution.current import StepCancelled, current_step
from marin.execution.executor import THIS_OUTPUT_PATH, Executor, ExecutorStep, ExperimentFailed, versioned
from marin.execution.experiment import LogObserver
from marin.execution.graph import Node
from marin.execution.holders import Holder
from marin.execution.plan import PlanState
from marin.execution.status import STATUS_FILE, StatusEvent, StatusLog, StepStatus, read_log, write_event
from marin.storage import StorageError
from marin.storage.testing import Faults, faulty_storage

RunScript = Callable[..., subprocess.CompletedProcess[str]]
WriteScript = Callable[[str], Path]


@dataclass(frozen=True)
class C:
    a: Any = None
    output_path: str = THIS_OUTPUT_PATH


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def faulty_prefix(tmp_path: Path, faults: Faults) -> Iterator[str]:
    with faulty_storage(faults) as scheme:
        yield f"{scheme}://{tmp_path}/prefix"


@pytest.fixture
def start_script(
    tmp_path: Path, write_script: WriteScript, script_environment: dict[str, str]
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts an experiment script as a process of its own, in `tmp_path`; what still runs at the end is killed."""
    processes: list[subprocess.Popen[str]] = []
    scripts: dict[str, Path] = {}

    def start(body: str, *arguments: str) -> subprocess.Popen[str]:
        if body not in scripts:
            # Once: a process that was started before may be reading it.
            scripts[body] = write_script(body)
        process = subprocess.Popen(
            [sys.executable, str(scripts[body]), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=script_environment,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            assert stream is not None
            stream.close()


class WhenWaiting(LogObserver):
    """Calls a function once a step is waited for."""

    def __init__(self, then: Callable[[], object]) -> None:
        self._then = then

    def step_waits(self, node: Node, owner: str) -> None:
        self._then()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def statuses(output_path: str) -> list[str]:
    return [event.status for event in read_log(output_path).events]


WAIT_FOR_INPUT = """
def wait(config):
    Path(config.output_path, "partial.txt").write_text("half")
    print("started", flush=True)
    if sys.stdin.readline():
        write(config)

executor_main(steps=[ExecutorStep("step", wait, Config("whole"))])
"""


def test_a_killed_run_is_taken_over_at_once(
    start_script: Callable[..., subprocess.Popen[str]], run_script: RunScript, tmp_path: Path
) -> None:
    process = start_script(WAIT_FOR_INPUT)
    assert first_line(process) == "started"
    process.kill()
    process.wait()
    [output] = (tmp_path / "outputs").glob("step-*")
    assert statuses(str(output)) == ["RUNNING"]

    # It plans to run, and does not wait for the ninety seconds of the lease.
    [planned] = json.loads(run_script(WAIT_FOR_INPUT, "--dry_run", "--json").stdout)
    assert (planned["state"], planned["reason"]) == ("run", "status RUNNING, left by a run that did not end")
    body = WAIT_FOR_INPUT.replace("if sys.stdin.readline():", "if True:")
    assert run_script(body).stdout.splitlines()[-1].startswith("1 step: 1 run in ")
    assert statuses(str(output)) == ["RUNNING", "RUNNING", "SUCCESS"]
    assert read_log(str(output)).epoch == 2


RACE = """
import os
import threading

count = {count}

def arrive(config):
    with open(config.value, "a") as ran:
        ran.write(f"{{config.output_path}}\\n")
    # The body ends once every contender has planned, so that all have met a step that runs.
    pause = threading.Event()
    while len(list(Path("arrived").glob("*"))) < count:
        pause.wait(0.01)
    write(config)

first = ExecutorStep("first", arrive, Config(str(Path("ran.txt").absolute())))
second = ExecutorStep("second", arrive, Config(str(Path("ran.txt").absolute()), first / "x"))
steps = [ExecutorStep(f"last{{index}}", write, Config(versioned(index))) for index in range(10)]
Path("arrived").mkdir(exist_ok=True)
{fork}
Path("arrived", str(os.getpid())).touch()
executor_main(steps=[first, *steps])
"""


@pytest.mark.parametrize(("count", "how"), [(2, "processes"), (8, "processes"), (2, "fork"), (8, "fork")])
def test_racing_executors_run_each_step_once(
    start_script: Callable[..., subprocess.Popen[str]], tmp_path: Path, count: int, how: str
) -> None:
    fork = "for _ in range(count - 1):\n    if os.fork() == 0:\n        break" if how == "fork" else ""
    body = RACE.format(count=count, fork=fork)
    processes = [start_script(body) for _ in range(1 if how == "fork" else count)]
    results = [(process.communicate(), process.returncode) for process in processes]
    assert [code for _, code in results] == [0] * len(processes), results
    if how == "processes":
        summaries = [output.splitlines()[-1] for (output, _), _ in results]
        assert sum("by others" in line or "cached" in line for line in summaries) >= count - 1
    [output] = (tmp_path / "outputs").glob("first-*")
    assert (tmp_path / "ran.txt").read_text().splitlines() == [str(output)]
    for path in (tmp_path / "outputs").glob("*-*"):
        assert statuses(str(path)) == ["RUNNING", "SUCCESS"]


def test_a_failure_in_another_run_is_not_repeated_here(
    start_script: Callable[..., subprocess.Popen[str]], executor: Executor, tmp_path: Path
) -> None:
    body = """
    def wait_and_fail(config):
        print("started", flush=True)
        sys.stdin.readline()
        raise ValueError("bad learning rate")

    executor_main(steps=[ExecutorStep("step", wait_and_fail, Config())])
    """
    process = start_script(body, "--prefix", executor.prefix)
    assert first_line(process) == "started"
    ran: list[Any] = []
    step = ExecutorStep("step", ran.append, C())
    after = ExecutorStep("after", ran.append, C(step))
    [planned, _] = executor.plan([after]).steps
    assert planned.state == PlanState.WAIT
    assert f"process {process.pid} on" in planned.reason
    assert process.stdin is not None
    here = Executor(executor.prefix, observer=WhenWaiting(process.stdin.close))
    with pytest.raises(ExperimentFailed, match=r"another run of the step, .*: ValueError: bad learning rate"):
        here.run([after])
    assert ran == []
    assert read_log(executor.output_paths[after]).status == StepStatus.DEP_FAILED


def test_a_cancelled_run_elsewhere_is_taken_over(
    start_script: Callable[..., subprocess.Popen[str]], executor: Executor
) -> None:
    process = start_script(WAIT_FOR_INPUT, "--prefix", executor.prefix)
    assert first_line(process) == "started"
    step = ExecutorStep("step", lambda config: Path(config.output_path, "out.txt").write_text("here"), C())
    here = Executor(executor.prefix, observer=WhenWaiting(lambda: process.send_signal(signal.SIGINT)))
    paths = here.run([step])
    assert Path(paths[step], "out.txt").read_text() == "here"
    assert statuses(paths[step]) == ["RUNNING", "CANCELLED", "RUNNING", "SUCCESS"]


def test_a_stopped_process_loses_its_step_and_cannot_commit(
    start_script: Callable[..., subprocess.Popen[str]], executor: Executor
) -> None:
    process = start_script(WAIT_FOR_INPUT, "--prefix", executor.prefix, "--lease_seconds", "1")
    assert first_line(process) == "started"
    process.send_signal(signal.SIGSTOP)
    step = ExecutorStep("step", lambda config: Path(config.output_path, "out.txt").write_text("here"), C())
    paths = executor.run([step])
    process.send_signal(signal.SIGCONT)
    output, error = process.communicate(input="\n")
    assert process.returncode == 0, error
    assert output.splitlines()[-1].startswith("1 step: 1 run by others in ")
    assert statuses(paths[step]) == ["RUNNING", "RUNNING", "SUCCESS"]
    assert read_log(paths[step]).epoch == 2


def test_storage_that_is_gone_for_long_cancels_the_body_and_it_runs_again(faulty_prefix: str, faults: Faults) -> None:
    attempts: list[int] = []

    def body(config: C) -> None:
        step = current_step()
        assert step is not None
        attempts.append(step.attempt)
        if step.attempt > 1:
            return
        faults.lose_request = 1.0
        try:
            while not step.cancelled.wait(0.01):
                step.check()
            step.check()
        finally:
            faults.lose_request = 0.0

    step = ExecutorStep("step", body, C())
    executor = Executor(faulty_prefix, lease_seconds=1)
    executor.run([step])
    assert attempts == [1, 2]
    assert statuses(executor.output_paths[step]) == ["RUNNING", "RUNNING", "SUCCESS"]


def test_a_body_that_does_not_listen_is_stopped(faulty_prefix: str, faults: Faults) -> None:
    ended: list[type[BaseException]] = []

    def body(config: C) -> None:
        step = current_step()
        assert step is not None
        if step.attempt > 1:
            return
        faults.lose_request = 1.0
        try:
            while True:
                pass
        except BaseException as error:
            ended.append(type(error))
            faults.lose_request = 0.0
            raise

    Executor(faulty_prefix, lease_seconds=1).run([ExecutorStep("step", body, C())])
    assert ended == [StepCancelled]


def test_a_run_goes_on_through_errors_that_pass(faulty_prefix: str, faults: Faults) -> None:
    ran: list[Any] = []
    steps = [ExecutorStep(f"s{index}", lambda config: ran.append(config.a), C(versioned(index))) for index in range(50)]
    executor = Executor(faulty_prefix)
    for step in steps:
        executor.compute_version(step)
    faults.lose_answer = 0.3
    # What reads, lists or writes records is not tried again: a run that cannot be planned or recorded has not begun.
    faults.is_hit = lambda operation, path: path.endswith(STATUS_FILE)
    executor.run(steps)
    assert sorted(ran) == list(range(50))
    assert {tuple(statuses(executor.output_paths[step])) for step in steps} == {("RUNNING", "SUCCESS")}


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES])
def test_a_read_only_prefix_stops_before_any_body(faulty_prefix: str, faults: Faults, error: int) -> None:
    ran: list[Any] = []
    faults.error = error
    faults.lose_request = 1.0
    faults.is_hit = lambda operation, path: operation in ("write", "move", "remove")
    with pytest.raises(StorageError, match=f"cannot write .*{os.strerror(error)}"):
        Executor(faulty_prefix).run([ExecutorStep("step", ran.append, C())])
    assert ran == []


def test_a_disk_that_fills_up_fails_the_step_and_leaves_no_result(faulty_prefix: str, faults: Faults) -> None:
    def fill(config: C) -> None:
        faults.error = errno.ENOSPC
        faults.lose_request = 1.0
        faults.is_hit = lambda operation, path: operation in ("write", "move")

    step = ExecutorStep("step", fill, C())
    executor = Executor(faulty_prefix)
    with pytest.raises(ExperimentFailed, match=r"step step failed: StorageError: .*No space left on device"):
        executor.run([step])
    faults.lose_request = 0.0
    assert read_log(executor.output_paths[step]).status == StepStatus.RUNNING
    assert executor.plan([step]).steps[0].state == PlanState.WAIT
    # Its process lives and may still hope for space; once it has ended, the step runs again.
    dead = Holder(host="here", machine=Holder.current().machine, pid=Holder.current().pid, started=1)
    event = StatusEvent.now(StepStatus.RUNNING, task_id="a", holders=(dead,), lease_seconds=90.0)
    write_event(executor.output_paths[step], read_log(executor.output_paths[step]), event)
    assert executor.plan([step]).steps[0].state == PlanState.RUN


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b'{"status": "SUCC'])
def test_a_damaged_status_is_waited_for_while_it_is_young(executor: Executor, content: bytes) -> None:
    step = ExecutorStep("step", None, C())
    executor.compute_version(step)
    path = Path(executor.output_paths[step], STATUS_FILE)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    [planned] = executor.plan([step]).steps
    assert planned.state == PlanState.WAIT
    assert str(path) in planned.reason
    os.utime(path, (1e9, 1e9))
    [planned] = executor.plan([step]).steps
    assert (planned.state, planned.reason) == (PlanState.RUN, "its status is unreadable")
    executor.run([step])
    assert read_log(executor.output_paths[step]).status == StepStatus.SUCCESS


def test_an_owner_elsewhere_that_went_silent_is_taken_over(executor: Executor) -> None:
    """Of another machine only its silence tells: for as long as the lease that it wrote down itself."""
    step = ExecutorStep("step", None, C())
    executor.compute_version(step)
    elsewhere = Holder(host="other", machine="another start", pid=1, started=1)
    event = StatusEvent.now(StepStatus.RUNNING, task_id="a", epoch=7, holders=(elsewhere,), lease_seconds=1.0)
    write_event(executor.output_paths[step], StatusLog(), event)
    [planned] = executor.plan([step]).steps
    assert (planned.state, planned.reason) == (PlanState.WAIT, "process 1 on other (attempt 7) runs it")
    executor.run([step])
    assert [event.epoch for event in read_log(executor.output_paths[step]).events] == [7, 8, 8]


def test_a_deleted_output_that_was_declared_is_made_again(executor: Executor) -> None:
    made: list[str] = []

    def make(config: C) -> None:
        made.append(config.output_path)
        Path(config.output_path, "model.bin").write_bytes(b"weights")

    step = ExecutorStep("step", make, C(), outputs=["*.bin"])
    after = ExecutorStep("after", lambda config: None, C(step))
    executor.run([after])
    Path(made[0], "model.bin").unlink()
    assert executor.run([after])
    assert len(made) == 1, "what is not needed is not made again"
    [planned, _] = executor.plan([step, after]).steps
    assert (planned.state, planned.reason) == (PlanState.RUN, "its declared output *.bin is missing")
    executor.run([step, after])
    assert len(made) == 2
    assert statuses(made[0]) == ["RUNNING", "SUCCESS", "RUNNING", "SUCCESS"]


def test_a_declared_output_that_is_not_made_fails_the_step(executor: Executor) -> None:
    with pytest.raises(ExperimentFailed, match=r"MissingOutputError: .*declared outputs model\.bin, tokens"):
        executor.run([ExecutorStep("step", lambda config: None, C(), outputs=["model.bin", "tokens"])])


def test_a_step_that_failed_is_tried_again_as_often_as_it_says(executor: Executor) -> None:
    tries: list[int] = []

    def flaky(config: C) -> None:
        tries.append(len(tries))
        if len(tries) < 3:
            raise ValueError("not yet")

    executor.run([ExecutorStep("step", flaky, C(), max_retries_failure=2)])
    assert tries == [0, 1, 2]
    tries.clear()
    with pytest.raises(ExperimentFailed, match="not yet"):
        executor.run([ExecutorStep("other", flaky, C(), max_retries_failure=1)])
