"""What every cluster back end promises, as tests that its author runs.

    from marin.cluster.connect import connect
    from marin.cluster.testing.contract import ClusterContract

    class TestMyBackend(ClusterContract):
        @pytest.fixture(scope="class")
        @classmethod
        def cluster(cls):
            with connect("mine://127.0.0.1:7000") as cluster:
                yield cluster

The machine that runs the tests and the workers must share the file system under pytest's `tmp_path`.
"""

import contextlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fray.types import Entrypoint, JobStatus

from marin.cluster.connect import Cluster, current_cluster, use_cluster
from marin.cluster.environment import Environment
from marin.cluster.errors import ClusterError, JobFailed, JobTerminated, JobTimeout, UnsupportedRequestError
from marin.cluster.jobs import Job, JobSpec, current_replica, wait_all
from marin.plugins.testing import ConformanceError, require

_PATIENCE_SECONDS = 60.0


class ClusterContract:
    """Tests of one back end; a subclass gives the fixture `cluster`, a connected `Cluster`."""

    def test_a_callable_runs_with_its_arguments(self, cluster: Cluster, tmp_path: Path) -> None:
        """Arguments reach the callable, and what it writes is there when the wait is over."""
        job = _submit(cluster, _write, [tmp_path / "out", "hello"])
        job.wait(_PATIENCE_SECONDS)
        require(job.status() == JobStatus.SUCCEEDED, f"a job that returned has the status {job.status()}")
        require((tmp_path / "out").read_text() == "hello", "the callable did not get its arguments")

    def test_a_failure_tells_its_reason_and_its_log(self, cluster: Cluster) -> None:
        """The exception's type and message are the reason; the log has the traceback."""
        error = _failure(_submit(cluster, _fail, ["boom"]))
        require(error.reason == "ValueError: boom", f"the reason is {error.reason!r}")
        require(error.attempts == 1, f"one attempt was made, {error.attempts} are counted")
        require(any("Traceback" in line for line in error.log_tail), f"no traceback in the log: {error.log_tail}")

    def test_a_check_says_what_a_submission_would(self, cluster: Cluster) -> None:
        """`check` refuses what `submit` refuses without asking the cluster, and passes what runs."""
        packages = Environment(pip_packages=("no-such-package-of-marin==1.0",))
        spec = JobSpec(name="check", entrypoint=Entrypoint.from_callable(_write, ["unused", ""]), environment=packages)
        for refuse in (cluster.check, cluster.submit):
            with contextlib.suppress(UnsupportedRequestError):
                refuse(spec)
                raise ConformanceError(f"{refuse.__name__} takes a package that nobody would install")
        cluster.check(JobSpec(name="check", entrypoint=Entrypoint.from_callable(_fail, ["boom"])))

    def test_an_exit_status_is_kept(self, cluster: Cluster) -> None:
        """`sys.exit(3)` fails the job with status 3, and `sys.exit(0)` is a success."""
        error = _failure(_submit(cluster, sys.exit, [3]))
        require(error.exit_status == 3, f"sys.exit(3) came as {error.exit_status}")
        _submit(cluster, sys.exit, [0]).wait(_PATIENCE_SECONDS)

    def test_output_is_complete_when_the_job_has_ended(self, cluster: Cluster) -> None:
        """Printed lines are all in the log, in order, as soon as the wait is over."""
        lines = [f"line {number}" for number in range(200)]
        job = _submit(cluster, _print_lines, [lines])
        job.wait(_PATIENCE_SECONDS)
        require(job.logs() == lines, f"the log is {job.logs()}")
        require(list(job.follow_logs()) == lines, "following the log of an ended job gives other lines than reading it")

    def test_a_command_runs(self, cluster: Cluster) -> None:
        """A command's output is the log, its status the exit status; a missing command is a failed job."""
        script = "import sys; print('out'); sys.exit(5)"
        error = _failure(cluster.submit(_command(sys.executable, "-c", script)))
        require(error.exit_status == 5, f"the status 5 of a command came as {error.exit_status}")
        require("out" in error.log_tail, f"the output of the command is not in the log: {error.log_tail}")
        error = _failure(cluster.submit(_command("no-such-command-anywhere")))
        require("no-such-command-anywhere" in error.reason, f"the reason does not name the command: {error.reason!r}")

    def test_arguments_that_look_like_paths_arrive_unchanged(self, cluster: Cluster) -> None:
        """Neither the arguments nor the variables of a command are rewritten."""
        script = "import os, sys; print(sys.argv[1], os.environ['MARIN_CONTRACT'])"
        spec = JobSpec(
            name="paths",
            entrypoint=Entrypoint.from_binary(sys.executable, ["-c", script, "/tmp/data"]),
            environment=Environment(env_vars={"MARIN_CONTRACT": "/app/x"}),
        )
        job = cluster.submit(spec)
        job.wait(_PATIENCE_SECONDS)
        require(job.logs() == ["/tmp/data /app/x"], f"the command saw {job.logs()}")

    def test_what_an_environment_asks_for_is_honoured_or_refused(self, cluster: Cluster) -> None:
        """A variable of a callable is set, or the job is refused; a package that nobody has never counts as there."""
        spec = JobSpec(
            name="variable",
            entrypoint=Entrypoint.from_callable(_print_variable, ["MARIN_CONTRACT"]),
            environment=Environment(env_vars={"MARIN_CONTRACT": "set"}),
        )
        try:
            job = cluster.submit(spec)
        except UnsupportedRequestError:
            pass
        else:
            job.wait(_PATIENCE_SECONDS)
            require(job.logs() == ["set"], f"the variable came as {job.logs()}")
        spec = JobSpec(
            name="package",
            entrypoint=Entrypoint.from_callable(print, ["ran"]),
            environment=Environment(pip_packages=("marin-no-such-package==9.9.9",)),
        )
        with contextlib.suppress(UnsupportedRequestError):
            _failure(cluster.submit(spec))

    def test_retries_after_failures(self, cluster: Cluster, tmp_path: Path) -> None:
        """A job that fails once succeeds with one retry; one that always fails is tried as often as asked."""
        _submit(cluster, _fail_first_time, [tmp_path / "tried"], max_retries_failure=1).wait(_PATIENCE_SECONDS)
        error = _failure(_submit(cluster, _fail, ["always"], max_retries_failure=1))
        require(error.attempts == 2, f"two attempts were asked for, {error.attempts} are counted")

    def test_a_deadline_ends_the_job(self, cluster: Cluster, tmp_path: Path) -> None:
        """An attempt that runs past `timeout` fails and says so."""
        try:
            error = _failure(_submit(cluster, _wait_for, [tmp_path / "release"], timeout=0.5))
        finally:
            (tmp_path / "release").touch()
        require("deadline of 0.5 s" in error.reason, f"the reason does not name the deadline: {error.reason!r}")

    def test_waiting_and_terminating(self, cluster: Cluster, tmp_path: Path) -> None:
        """A wait that ends early leaves the job running; terminating it ends every wait with `JobTerminated`."""
        job = _submit(cluster, _announce_and_wait, [tmp_path / "started", tmp_path / "release"])
        try:
            _wait_for(tmp_path / "started")
            _expect(JobTimeout, job, timeout=0.01)
            require(job.status() == JobStatus.RUNNING, f"a job that runs has the status {job.status()}")
            job.terminate()
            _expect(JobTerminated, job, timeout=_PATIENCE_SECONDS)
            require(job.status() == JobStatus.STOPPED, f"a terminated job has the status {job.status()}")
            job.terminate()
        finally:
            (tmp_path / "release").touch()

    def test_replicas_know_their_index(self, cluster: Cluster, tmp_path: Path) -> None:
        """Every replica runs once and reads its own index."""
        _submit(cluster, _write_replica, [tmp_path], replicas=3).wait(_PATIENCE_SECONDS)
        found = sorted(path.name for path in tmp_path.iterdir())
        require(found == ["0 of 3", "1 of 3", "2 of 3"], f"the replicas were {found}")

    def test_names_need_not_be_unique_or_clean(self, cluster: Cluster, tmp_path: Path) -> None:
        """Two jobs of one name both run, whatever characters it has."""
        jobs = [
            cluster.submit(
                JobSpec(name="Größe / 7", entrypoint=Entrypoint.from_callable(_write, [tmp_path / text, text]))
            )
            for text in ("a", "b")
        ]
        wait_all(jobs, _PATIENCE_SECONDS)
        require(jobs[0].id != jobs[1].id, "two jobs have one id")
        found = sorted(path.name for path in tmp_path.iterdir())
        require(found == ["a", "b"], f"of the two jobs, these ran: {found}")

    def test_waiting_for_all_waits_for_all(self, cluster: Cluster, tmp_path: Path) -> None:
        """The first failure is raised when all jobs have ended."""
        jobs = [_submit(cluster, _fail, ["first"]), _submit(cluster, _write, [tmp_path / "out", "x"])]
        try:
            wait_all(jobs, _PATIENCE_SECONDS)
        except JobFailed as error:
            require(error.job_id == jobs[0].id, f"the error is about {error.job_id}")
        else:
            raise ConformanceError("a failed job was not reported")
        require((tmp_path / "out").exists(), "the error came before all jobs had ended")

    def test_a_job_submits_jobs_to_its_own_cluster(self, cluster: Cluster, tmp_path: Path) -> None:
        """Inside a job the current cluster is the one that runs it."""
        with use_cluster(cluster):
            _submit(cluster, _submit_child, [tmp_path / "out"]).wait(_PATIENCE_SECONDS)
        require((tmp_path / "out").read_text() == "child", "the job of the job did not run")

    def test_nodes_are_listed(self, cluster: Cluster) -> None:
        """A healthy node with processors and memory is there, and ids are unique."""
        nodes = cluster.nodes()
        require(any(node.healthy and node.cpu > 0 and node.memory_bytes > 0 for node in nodes), f"nodes: {nodes}")
        require(len({node.id for node in nodes}) == len(nodes), f"two nodes have one id: {nodes}")


def _submit(cluster: Cluster, body: Any, args: Sequence[Any], **options: Any) -> Job:
    name = str(getattr(body, "__name__", "job"))
    return cluster.submit(JobSpec(name=name, entrypoint=Entrypoint.from_callable(body, args), **options))


def _command(*command: str) -> JobSpec:
    return JobSpec(name="command", entrypoint=Entrypoint.from_binary(command[0], command[1:]))


def _failure(job: Job) -> JobFailed:
    try:
        job.wait(_PATIENCE_SECONDS)
    except JobFailed as error:
        return error
    raise ConformanceError(f"job {job.id} should have failed and has the status {job.status()}")


def _expect(kind: type[ClusterError], job: Job, *, timeout: float) -> None:
    try:
        job.wait(timeout)
    except kind:
        return
    raise ConformanceError(f"waiting for {job.id} should have ended with {kind.__name__}")


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def _fail(message: str) -> None:
    raise ValueError(message)


def _fail_first_time(marker: Path) -> None:
    if not marker.exists():
        marker.touch()
        raise RuntimeError("the first attempt")


def _print_lines(lines: Sequence[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _print_variable(name: str) -> None:
    sys.stdout.write(f"{os.environ[name]}\n")


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not path.exists():
        require(time.monotonic() < deadline, f"{path} did not appear")
        time.sleep(0.01)


def _announce_and_wait(started: Path, release: Path) -> None:
    started.touch()
    _wait_for(release)


def _write_replica(folder: Path) -> None:
    replica = current_replica()
    (folder / f"{replica.index} of {replica.count}").touch()


def _submit_child(path: Path) -> None:
    _submit(current_cluster(), _write, [path, "child"]).wait(_PATIENCE_SECONDS)
