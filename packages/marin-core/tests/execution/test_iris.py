"""An experiment script on a real Iris cluster with worker processes."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from marin.execution.status import read_status

RunScript = Callable[..., subprocess.CompletedProcess[str]]

EXPERIMENT = """
import os

from marin.resources.config import ResourceConfig

JOB = ResourceConfig(cpu=1)


def write_process(config):
    (Path(config.output_path) / "process.txt").write_text(f"{os.getpid()} {os.environ.get('MY_FLAG')}")


def fail_or_die(config):
    if Path(config.value).exists():
        os.kill(os.getpid(), 9)
    fail(config)


if __name__ == "__main__":
    die = str(Path.cwd() / "die")
    job = ExecutorStep("job", write_process, Config(), resources=JOB, env_vars={"MY_FLAG": "given"})
    thread = ExecutorStep("thread", write_process, Config(job))
    broken = ExecutorStep("broken", fail_or_die, Config(die), resources=JOB)
    blocked = ExecutorStep("blocked", write, Config(broken), resources=JOB)
    print(os.getpid())
    executor_main(steps=[thread, blocked])
"""


def status_of(tmp_path: Path, pattern: str) -> str | None:
    [path] = (tmp_path / "outputs").glob(pattern)
    return read_status(str(path))


def text_of(tmp_path: Path, pattern: str) -> str:
    [path] = (tmp_path / "outputs").glob(pattern)
    return path.read_text()


@pytest.mark.cluster
def test_an_experiment_on_iris(run_script: RunScript, tmp_path: Path) -> None:
    first = run_script(EXPERIMENT, "--cluster", "iris-local")
    assert first.returncode == 1
    assert first.stdout.splitlines()[-1].startswith("4 steps: 2 run, 1 failed, 1 not run because of failures in ")
    assert "error: step broken failed: ValueError: bad learning rate\n  raised at: experiment.py:21\n" in first.stderr
    assert "in fail_or_die" in text_of(tmp_path, "broken-*/.executor_traceback")
    assert status_of(tmp_path, "blocked-*") == "DEP_FAILED"

    driver = first.stdout.splitlines()[0]
    job_process, flag = text_of(tmp_path, "job-*/process.txt").split()
    assert (job_process != driver, flag) == (True, "given")
    assert text_of(tmp_path, "thread-*/process.txt") == f"{driver} None"

    # The worker's process is killed now: its end is reported, and not the error that the first attempt left.
    (tmp_path / "die").touch()
    second = run_script(EXPERIMENT, "--cluster", "iris-local")
    assert second.returncode == 1
    assert second.stdout.splitlines()[-1].startswith("4 steps: 1 failed, 1 not run because of failures, 2 cached in ")
    assert "error: step broken failed: JobFailed: job " in second.stderr
    assert "exit status -9" in second.stderr
    assert "bad learning rate" not in second.stderr
    assert status_of(tmp_path, "broken-*") == "FAILED"
    assert not list((tmp_path / "outputs").glob("*/out.txt"))
