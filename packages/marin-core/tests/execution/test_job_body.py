"""The body of a step in a job of several tasks, such as the hosts of a TPU slice."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from marin.cluster.jobs import Replica, replica_context
from marin.execution.body import Body
from marin.execution.job_body import run_job_body
from marin.execution.lease import Lease, LeaseLostError
from marin.execution.status import StepStatus, read_log


@pytest.fixture
def in_task() -> Iterator[Any]:
    """Makes the test run as one of two tasks: `in_task(1)`."""
    tokens = []
    yield lambda index: tokens.append(replica_context.set(Replica(index=index, count=2)))
    for token in reversed(tokens):
        replica_context.reset(token)


@pytest.fixture
def lease(tmp_path: Path) -> Lease:
    output = str(tmp_path / "output")
    return Lease.acquire(output, read_log(output), version="v")


def body(lease: Lease, ran: list[Any]) -> Body:
    return Body(function=ran.append, config="config", output_path=lease.output_path, staging_path=None, outputs=())


@pytest.mark.parametrize("index", [0, 1])
def test_every_task_runs_the_body_and_the_executor_commits(lease: Lease, in_task: Any, index: int) -> None:
    ran: list[Any] = []
    in_task(index)
    run_job_body(body(lease, ran), lease.attempt_id, 90.0)
    assert ran == ["config"]
    assert read_log(lease.output_path).status == StepStatus.RUNNING
    lease.commit(StepStatus.SUCCESS)
    assert read_log(lease.output_path).status == StepStatus.SUCCESS


def test_the_first_task_keeps_the_lease(lease: Lease, in_task: Any) -> None:
    ran: list[Any] = []
    in_task(1)
    run_job_body(body(lease, ran), lease.attempt_id, 90.0)
    in_task(0)
    run_job_body(body(lease, ran), lease.attempt_id, 90.0)
    last = read_log(lease.output_path).last
    assert last is not None
    assert last.holders is not None
    assert len(last.holders) == 2
    Lease.acquire(lease.output_path, read_log(lease.output_path), version="v")
    with pytest.raises(LeaseLostError):
        run_job_body(body(lease, ran), lease.attempt_id, 90.0)
    assert len(ran) == 2


def test_a_job_of_one_task_commits_itself(lease: Lease) -> None:
    run_job_body(body(lease, []), lease.attempt_id, 90.0)
    assert read_log(lease.output_path).status == StepStatus.SUCCESS
