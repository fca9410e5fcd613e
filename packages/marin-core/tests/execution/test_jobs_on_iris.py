"""Steps as jobs of a real Iris cluster whose processes are killed, preempted, cut off from their lease, or orphaned."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from iris.client.client import IrisClient
from iris.cluster.types import JobName

from marin.cluster.connect import Cluster, connect, use_cluster
from marin.execution.executor import THIS_OUTPUT_PATH, Executor, ExecutorStep, PlanError
from marin.execution.lease import Lease
from marin.execution.status import StepStatus, read_log
from marin.resources.config import ResourceConfig

pytestmark = pytest.mark.cluster

JOB = ResourceConfig(cpu=1, ram="1g", disk="1g")
PATIENCE = 90.0


@dataclass(frozen=True)
class C:
    signs: str
    """Folder in which the body and the test leave each other signs."""
    output_path: str = THIS_OUTPUT_PATH


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with connect("iris-local") as cluster, use_cluster(cluster):
        yield cluster


@pytest.fixture
def signs(tmp_path: Path) -> Path:
    (tmp_path / "signs").mkdir()
    return tmp_path / "signs"


def wait_for(is_so: Callable[[], Any]) -> None:
    """Look again and again for what another process brings about."""
    looked = threading.Event()
    for _ in range(int(PATIENCE / 0.02)):
        if is_so():
            return
        looked.wait(0.02)
    raise AssertionError("it did not happen")


def started(config: C) -> list[str]:
    """Note that the body runs, in which process; all such notes."""
    path = Path(config.signs, "started")
    with path.open("a") as file:
        file.write(f"{os.getpid()}\n")
    return path.read_text().split()


def end_on_second_start(config: C) -> None:
    if len(started(config)) == 1:
        threading.Event().wait()
    Path(config.output_path, "out.txt").write_text("whole")


def end_on_sign(config: C) -> None:
    started(config)
    pause = threading.Event()
    while not Path(config.signs, "go").exists():
        pause.wait(0.02)
    Path(config.output_path, "out.txt").write_text("whole")


class Running:
    """An executor that runs one step, in a thread."""

    def __init__(self, executor: Executor, step: ExecutorStep[Any], signs: Path) -> None:
        self.output = executor.run([step], dry_run=True)[step]
        self._signs = signs
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=(executor, step))
        self._thread.start()

    def _run(self, executor: Executor, step: ExecutorStep[Any]) -> None:
        try:
            executor.run([step])
        except BaseException as error:  # noqa: BLE001  # `wait` raises it in the test's own thread
            self._errors.append(error)

    def processes(self) -> list[int]:
        path = self._signs / "started"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def job(self) -> str:
        wait_for(self.processes)
        wait_for(lambda: (log := read_log(self.output)).last is not None and log.last.job)
        last = read_log(self.output).last
        assert last is not None
        assert last.job is not None
        return last.job

    def wait(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        if self._errors:
            raise self._errors[0]


def history(output: str) -> list[tuple[str, int | None]]:
    return [(event.status, event.epoch) for event in read_log(output).events]


def test_a_preempted_job_runs_again_within_its_attempt(cluster: Cluster, executor: Executor, signs: Path) -> None:
    step = ExecutorStep("step", end_on_second_start, C(str(signs)), resources=JOB)
    running = Running(executor, step, signs)
    client = IrisClient.remote(cluster.address.replace("iris://", "http://"))
    try:
        client.job(JobName.from_wire(running.job())).tasks()[0].preempt(reason="the machine is taken away")
        running.wait()
    finally:
        client.shutdown()
    assert len(running.processes()) == 2
    assert history(running.output) == [("RUNNING", 1), ("SUCCESS", 1)]
    assert Path(running.output, "out.txt").read_text() == "whole"


@pytest.mark.usefixtures("cluster")
def test_a_killed_process_is_started_again_as_often_as_the_step_says(executor: Executor, signs: Path) -> None:
    step = ExecutorStep("step", end_on_second_start, C(str(signs)), resources=JOB, max_retries_failure=1)
    running = Running(executor, step, signs)
    wait_for(running.processes)
    os.kill(running.processes()[0], signal.SIGKILL)
    running.wait()
    assert len(running.processes()) == 2
    assert history(running.output) == [("RUNNING", 1), ("SUCCESS", 1)]


@pytest.mark.usefixtures("cluster")
def test_a_job_that_lost_its_lease_ends_and_its_result_does_not_count(executor: Executor, signs: Path) -> None:
    executor = Executor(executor.prefix, lease_seconds=3)
    running = Running(executor, ExecutorStep("step", end_on_sign, C(str(signs)), resources=JOB), signs)
    job = running.job()
    thief = Lease.acquire(running.output, read_log(running.output), version=executor_digest(executor))
    process = running.processes()[0]
    wait_for(lambda: not Path(f"/proc/{process}").exists())
    thief.commit(StepStatus.SUCCESS)
    running.wait()
    (signs / "go").touch()
    assert job
    assert history(running.output) == [("RUNNING", 1), ("RUNNING", 2), ("SUCCESS", 2)]
    assert not Path(running.output, "out.txt").exists()


def executor_digest(executor: Executor) -> str:
    return executor.step_infos[0]["version_digest"]


def test_what_cannot_be_sent_is_named_before_anything_runs(cluster: Cluster, executor: Executor, signs: Path) -> None:
    lock = threading.Lock()
    ran: list[Any] = []

    def body(config: Any) -> None:
        lock.acquire()

    first = ExecutorStep("first", ran.append, {"signs": str(signs)})
    with pytest.raises(PlanError, match=r"step bad: .*the variable 'lock' that .*body uses .* cannot be sent"):
        executor.run([first, ExecutorStep("bad", body, None, resources=JOB)])
    with pytest.raises(PlanError, match=r"step worse: .*config\['schedule'\]\[0\] \(lock\) cannot be sent"):
        executor.run([first, ExecutorStep("worse", print, {"schedule": [lock]}, resources=JOB)])
    assert ran == []


ORPHAN = """
import os
import threading
from marin.resources.config import ResourceConfig


def work(config):
    with open(config.value + "/started", "a") as started:
        started.write(f"{os.getpid()}\\n")
    pause = threading.Event()
    while not Path(config.value, "go").exists():
        pause.wait(0.02)
    write(config)


job = ExecutorStep("job", work, Config(SIGNS), resources=ResourceConfig(cpu=1, ram="1g", disk="1g"))
executor_main(steps=[job])
"""


def test_a_job_outlives_its_executor_and_the_next_one_finds_its_result(
    cluster: Cluster,
    write_script: Callable[[str], Path],
    script_environment: dict[str, str],
    signs: Path,
    tmp_path: Path,
) -> None:
    script = write_script(ORPHAN.replace("SIGNS", repr(str(signs))))
    command = [sys.executable, str(script), "--cluster", cluster.address]
    options: Any = {"cwd": tmp_path, "env": script_environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **options) as first:
        wait_for((signs / "started").exists)
        first.kill()
    with subprocess.Popen(command, text=True, **options) as second:
        assert second.stderr is not None
        for line in second.stderr:
            if line.startswith("wait   job: process"):
                break
        (signs / "go").touch()
        output, error = second.communicate()
    assert second.returncode == 0, error
    assert output.splitlines()[-1].startswith("1 step: 1 run by others in ")
    assert len((signs / "started").read_text().split()) == 1
    [path] = (tmp_path / "outputs").glob("job-*")
    assert history(str(path)) == [("RUNNING", 1), ("SUCCESS", 1)]
