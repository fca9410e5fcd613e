"""Steps that run as jobs, on the local back end."""

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from marin.cluster.connect import connect, use_cluster
from marin.cluster.jobs import current_replica
from marin.execution.attempts import TRACEBACK_FILE
from marin.execution.executor import THIS_OUTPUT_PATH, Executor, ExecutorStep, ExperimentFailed, PlanError
from marin.execution.progress import report_progress
from marin.execution.status import StepStatus, read_status
from marin.resources.config import ResourceConfig

JOB = ResourceConfig(cpu=1)

RunScript = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class C:
    a: Any = None
    output_path: str = THIS_OUTPUT_PATH


@pytest.fixture
def local_cluster() -> Iterator[None]:
    with connect("local") as cluster, use_cluster(cluster):
        yield


def write(config: C) -> None:
    report_progress(1, 2)
    Path(config.output_path, "out.txt").write_text(f"{config.a} in replica {current_replica().index}")


def fail(config: C) -> None:
    raise ValueError("bad learning rate")


def leave(config: C) -> None:
    raise SystemExit(0)


@pytest.mark.usefixtures("local_cluster")
def test_a_step_with_resources_runs_as_a_job(executor: Executor) -> None:
    up = ExecutorStep("up", write, C(1), resources=JOB)
    step = ExecutorStep("step", write, C(up), resources=JOB)
    paths = executor.run([step])
    assert Path(paths[step], "out.txt").read_text() == f"{paths[up]} in replica 0"
    assert read_status(paths[step]) == StepStatus.SUCCESS


@pytest.mark.usefixtures("local_cluster")
def test_the_error_of_a_job_is_that_of_the_body(executor: Executor) -> None:
    step = ExecutorStep("step", fail, C(), resources=JOB)
    with pytest.raises(ExperimentFailed) as caught:
        executor.run([step])
    [error] = caught.value.exceptions
    assert error.failure.error_line() == "ValueError: bad learning rate"
    assert error.failure.location == f"{__file__}:{fail.__code__.co_firstlineno + 1}"
    assert "bad learning rate" in Path(executor.output_paths[step], TRACEBACK_FILE).read_text()
    assert read_status(executor.output_paths[step]) == StepStatus.FAILED


@pytest.mark.usefixtures("local_cluster")
def test_a_job_that_leaves_with_status_0_has_failed(executor: Executor) -> None:
    with pytest.raises(ExperimentFailed, match="SystemExit: 0"):
        executor.run([ExecutorStep("leave", leave, C(), resources=JOB)])


@pytest.mark.usefixtures("local_cluster")
def test_a_body_that_spoils_its_output_still_tells_its_error(executor: Executor) -> None:
    def spoil(config: C) -> None:
        shutil.rmtree(config.output_path)
        Path(config.output_path).write_text("in the way")
        raise ValueError("bad learning rate")

    with pytest.raises(ExperimentFailed, match="bad learning rate"):
        executor.run([ExecutorStep("spoil", spoil, C(), resources=JOB)])


@pytest.mark.usefixtures("local_cluster")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pip_dependency_groups": ["some-package==1"]}, "step step: .*some-package==1"),
        ({"env_vars": {"MY_FLAG": "1"}}, "step step: .*environment variables .*MY_FLAG"),
    ],
)
def test_an_environment_that_the_cluster_cannot_give_stops_before_any_body(
    executor: Executor, options: dict[str, Any], message: str
) -> None:
    ran: list[Any] = []
    with pytest.raises(PlanError, match=message):
        executor.run([ExecutorStep("first", ran.append, C()), ExecutorStep("step", write, C(), **options)])
    assert ran == []


@pytest.mark.usefixtures("local_cluster")
def test_groups_are_extras_where_the_project_has_them(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[project.optional-dependencies]\ngpu = ["torch"]\n'
    )
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    # The local back end refuses both and names packages before extras.
    with pytest.raises(PlanError, match=r"packages \(lm-eval==1, gpu\)"):
        executor.run([ExecutorStep("step", write, C(), pip_dependency_groups=["gpu", "lm-eval==1"])])


@pytest.mark.usefixtures("local_cluster")
def test_an_interrupt_terminates_jobs(executor: Executor) -> None:
    started, release = threading.Event(), threading.Event()

    def wait(config: C) -> None:
        started.set()
        release.wait()

    def interrupt(config: C) -> None:
        started.wait()
        raise KeyboardInterrupt

    waiting = ExecutorStep("waiting", wait, C(), resources=JOB)
    with pytest.raises(KeyboardInterrupt):
        executor.run([waiting, ExecutorStep("interrupted", interrupt, C())])
    release.set()
    assert read_status(executor.output_paths[waiting]) == StepStatus.CANCELLED
    # The thread that waits for the job ends with it.
    for thread in threading.enumerate():
        if thread.name.startswith("step thread"):
            thread.join()
    assert read_status(executor.output_paths[waiting]) == StepStatus.CANCELLED


def test_a_cluster_that_is_not_there_stops_before_any_body(run_script: RunScript, tmp_path: Path) -> None:
    body = """
    from marin.resources.config import ResourceConfig

    steps = [ExecutorStep("thread", write, Config()), ExecutorStep("job", write, Config(), resources=ResourceConfig())]
    executor_main(steps=steps)
    """
    # A process of its own: the default cluster is chosen once in each.
    result = run_script(body, MARIN_CLUSTER="nowhere://host")
    assert result.returncode == 2
    assert "error: no cluster back end serves 'nowhere://host'" in result.stderr
    assert not list(tmp_path.rglob("out.txt"))


def test_this_process_is_where_steps_without_resources_run(executor: Executor) -> None:
    processes: list[int] = []
    executor.run([ExecutorStep("step", lambda config: processes.append(os.getpid()), C())])
    assert processes == [os.getpid()]
