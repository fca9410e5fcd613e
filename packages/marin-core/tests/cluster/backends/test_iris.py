"""The Iris back ends, beyond the contract: real controllers, workers and task processes."""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fray.types import Entrypoint

from marin.cluster.connect import Cluster, connect
from marin.cluster.environment import Environment
from marin.cluster.errors import ClusterError, JobFailed, UnschedulableError, UnsupportedRequestError
from marin.cluster.jobs import JobSpec
from marin.errors import UsageError
from marin.resources.config import ResourceConfig

pytestmark = pytest.mark.cluster

PATIENCE = 60.0
OWNER = """
import sys
from marin.cluster.connect import connect

cluster = connect("iris-local?workers=1")
print("up", flush=True)
ending = sys.argv[1]
if ending == "raise":
    raise RuntimeError("the owner fails")
if ending == "wait":
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with connect("iris-local") as cluster:
        yield cluster


def job(body: object, *args: object, **options: object) -> JobSpec:
    return JobSpec(name="job", entrypoint=Entrypoint.from_callable(body, args), **options)


def test_a_job_runs_in_a_process_of_its_own(cluster: Cluster, tmp_path: Path):
    cluster.submit(job(lambda: (tmp_path / "pid").write_text(str(os.getpid())))).wait(PATIENCE)
    assert int((tmp_path / "pid").read_text()) != os.getpid()


def test_a_request_that_no_machine_can_hold_is_refused_with_the_reason(cluster: Cluster):
    with pytest.raises(UnschedulableError, match=r"need 64000, available 8000\)$") as caught:
        cluster.submit(job(print, resources=ResourceConfig(cpu=64)))
    assert caught.value.exit_code == 4
    with pytest.raises(UnschedulableError, match="no scaling group provides device gpu:h100"):
        cluster.submit(job(print, resources=ResourceConfig(accelerator="H100")))


def test_an_argument_that_cannot_be_sent_is_named(cluster: Cluster):
    with pytest.raises(UsageError, match=r"job job: argument 0 \(lock\) cannot be sent to a worker: cannot pickle"):
        cluster.submit(job(print, threading.Lock()))


def test_packages_are_refused_where_nobody_would_install_them(cluster: Cluster):
    with pytest.raises(UnsupportedRequestError, match="six"):
        cluster.submit(job(print, environment=Environment(pip_packages=("six",))))


def test_a_task_killed_from_outside_is_a_failed_job(cluster: Cluster):
    with pytest.raises(JobFailed) as caught:
        cluster.submit(job(lambda: os.kill(os.getpid(), signal.SIGKILL))).wait(PATIENCE)
    assert caught.value.attempts == 1


def test_a_running_controller_is_joined_by_its_address(cluster: Cluster):
    with connect(cluster.address) as joined:
        joined.submit(job(print, "hello")).wait(PATIENCE)
        assert [node.id for node in joined.nodes()] == [node.id for node in cluster.nodes()]
    assert cluster.nodes(), "closing the connection must not end a cluster that it only joined"


def test_functions_from_modules_beside_the_script_travel(tmp_path: Path):
    (tmp_path / "beside.py").write_text("def greet(name):\n    print('hello', name)\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import beside\n"
        "from fray.types import Entrypoint\n"
        "from marin.cluster.connect import connect\n"
        "from marin.cluster.jobs import JobSpec\n"
        "with connect('iris-local?workers=1') as cluster:\n"
        "    job = cluster.submit(JobSpec(name='x', entrypoint=Entrypoint.from_callable(beside.greet, ['you'])))\n"
        "    job.wait(60)\n"
        "    print(job.logs())\n"
    )
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd="/", timeout=100, check=False)
    assert result.stdout == "['hello you']\n", result.stderr


@pytest.mark.parametrize(("ending", "status"), [("return", 0), ("raise", 1)])
def test_a_script_that_does_not_close_its_cluster_still_exits(ending: str, status: int):
    result = subprocess.run(
        [sys.executable, "-c", OWNER, ending], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == status
    assert ("the owner fails" in result.stderr) == (ending == "raise")


def test_a_killed_owner_takes_its_cluster_with_it():
    owner = subprocess.Popen([sys.executable, "-c", OWNER, "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert owner.stdin is not None
    assert owner.stdout is not None
    with owner.stdin, owner.stdout:
        assert owner.stdout.readline() == b"up\n"
        (server,) = children_of(owner.pid)
        ended = os.pidfd_open(server)  # becomes readable when the process ends
        owner.kill()
        owner.wait()
    try:
        assert select.select([ended], [], [], PATIENCE)[0], "the cluster outlives its owner"
    finally:
        os.close(ended)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_closed_cluster_takes_no_jobs():
    cluster = connect("iris-local?workers=1")
    cluster.close()
    cluster.close()
    with pytest.raises(ClusterError, match="connection to the cluster is closed"):
        cluster.submit(job(print))
