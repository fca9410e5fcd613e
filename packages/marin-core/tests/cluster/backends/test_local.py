"""The local back end, beyond the contract."""

import io
import logging
import os
import select
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fray.types import Entrypoint

from marin.cluster.connect import Cluster, connect
from marin.cluster.environment import Environment
from marin.cluster.errors import ClusterError, JobFailed, JobTerminated, UnsupportedRequestError
from marin.cluster.jobs import Job, JobSpec, wait_all

PATIENCE = 30.0


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with connect("local") as cluster:
        yield cluster


def submit(cluster: Cluster, body: Any, *args: Any, **options: Any) -> Job:
    return cluster.submit(JobSpec(name="job", entrypoint=Entrypoint.from_callable(body, args), **options))


def test_parents_that_wait_for_their_children_do_not_lock_each_other(cluster: Cluster):
    everybody_started = threading.Barrier(20)

    def parent() -> None:
        everybody_started.wait(PATIENCE)
        submit(cluster, print, "child").wait(PATIENCE)

    wait_all([submit(cluster, parent) for _ in range(20)], PATIENCE)


def test_the_output_of_jobs_is_kept_apart(cluster: Cluster):
    both_printed = threading.Barrier(2)

    def speak(name: str) -> None:
        print(f"{name} prints")
        both_printed.wait(PATIENCE)
        logging.getLogger("speaker").warning("%s logs", name)
        sys.stderr.write(f"{name} without a newline")

    jobs = [submit(cluster, speak, name) for name in ("a", "b")]
    wait_all(jobs, PATIENCE)
    for name, job in zip(("a", "b"), jobs, strict=True):
        assert job.logs() == [f"{name} prints", f"WARNING speaker: {name} logs", f"{name} without a newline"]


def test_output_still_goes_where_it_went(cluster: Cluster, capsys: pytest.CaptureFixture[str]):
    submit(cluster, print, "hello").wait(PATIENCE)
    assert capsys.readouterr().out == "hello\n"


def test_output_is_caught_though_a_long_job_saw_another_stream(cluster: Cluster, monkeypatch: pytest.MonkeyPatch):
    started, release = threading.Event(), threading.Event()

    def body() -> None:
        started.set()
        release.wait(PATIENCE)

    long = submit(cluster, body)
    assert started.wait(PATIENCE)
    with monkeypatch.context() as replaced:
        replaced.setattr(sys, "stdout", io.StringIO())
        short = submit(cluster, print, "hello")
        short.wait(PATIENCE)
        release.set()
        long.wait(PATIENCE)
    assert short.logs() == ["hello"]


def test_a_followed_log_comes_while_the_job_runs(cluster: Cluster):
    read = threading.Event()

    def body() -> None:
        print("first")
        assert read.wait(PATIENCE)
        print("second")

    lines = submit(cluster, body).follow_logs()
    assert next(lines) == "first"
    read.set()
    assert list(lines) == ["second"]


def test_the_original_exception_is_the_cause(cluster: Cluster):
    error = KeyError("k")

    def body() -> None:
        raise error

    with pytest.raises(JobFailed) as caught:
        submit(cluster, body).wait(PATIENCE)
    assert caught.value.__cause__ is error


def test_a_terminated_command_is_killed_with_its_children(cluster: Cluster):
    script = "sleep 600 & echo $!; wait"
    job = cluster.submit(JobSpec(name="sleep", entrypoint=Entrypoint.from_binary("bash", ["-c", script])))
    grandchild = os.pidfd_open(int(next(job.follow_logs())))  # becomes readable when the process ends
    try:
        job.terminate()
        with pytest.raises(JobTerminated):
            job.wait(PATIENCE)
        assert select.select([grandchild], [], [], PATIENCE)[0], "a child of the command lives on"
    finally:
        os.close(grandchild)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (Environment(env_vars={"A": "1"}), "environment variables .A.*use iris-local"),
        (Environment(pip_packages=("six",)), r"packages \(six\).*install them here"),
        (Environment(extras=("vllm",)), r"packages \(vllm\)"),
    ],
)
def test_what_threads_cannot_do_is_refused(cluster: Cluster, environment: Environment, message: str):
    with pytest.raises(UnsupportedRequestError, match=message):
        submit(cluster, print, environment=environment)


def test_a_command_gets_its_variables(cluster: Cluster):
    spec = JobSpec(
        name="variables",
        entrypoint=Entrypoint.from_binary("bash", ["-c", "echo $MARIN_TEST; cd / && pwd"]),
        environment=Environment(env_vars={"MARIN_TEST": "set"}),
    )
    job = cluster.submit(spec)
    job.wait(PATIENCE)
    assert job.logs() == ["set", "/"]
    assert "MARIN_TEST" not in os.environ


def test_a_closed_cluster_takes_no_jobs():
    cluster = connect("local")
    cluster.close()
    with pytest.raises(ClusterError, match="connection to the cluster is closed"):
        submit(cluster, print)
