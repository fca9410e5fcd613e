"""Heartbeats: what keeps a lease alive, and what ends it."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from marin.execution.keeper import KeptLease, LeaseKeeper
from marin.execution.lease import Lease, LeaseLostError
from marin.execution.status import StepStatus, read_log
from marin.storage import StorageError
from marin.storage.testing import Faults, faulty_storage

LEASE_SECONDS = 0.6
PATIENCE = 60.0


class Reasons:
    """Collects why leases were lost."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.lost = threading.Event()

    def __call__(self, reason: str) -> None:
        self.reasons.append(reason)
        self.lost.set()


@pytest.fixture
def reasons() -> Reasons:
    return Reasons()


class Clock:
    """Stands still unless it is moved, so that a slow machine loses no lease."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keeper(clock: Clock) -> Iterator[LeaseKeeper]:
    keeper = LeaseKeeper(LEASE_SECONDS, clock=clock)
    yield keeper
    keeper.close()


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def output(tmp_path: Path, faults: Faults) -> Iterator[str]:
    with faulty_storage(faults) as scheme:
        yield f"{scheme}://{tmp_path}/output"


def acquire(output: str) -> Lease:
    return Lease.acquire(output, read_log(output), version="v", seconds=LEASE_SECONDS)


def wait_until(is_so: Callable[[], bool]) -> None:
    """Look again and again, for a state that a thread of the keeper brings about."""
    looked = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if is_so():
            return
        looked.wait(0.01)
    raise AssertionError("it did not happen")


def test_a_lease_that_is_kept_does_not_expire(output: str, keeper: LeaseKeeper, reasons: Reasons, clock: Clock) -> None:
    kept = keeper.keep(acquire(output), reasons)
    first = read_log(output).file_version
    for _ in range(10):
        clock.seconds += LEASE_SECONDS / 2
        wait_until(lambda: kept.renewed == clock.seconds)
    assert read_log(output).file_version != first
    kept.commit(StepStatus.SUCCESS)
    assert read_log(output).status == StepStatus.SUCCESS
    assert reasons.reasons == []


def test_a_heartbeat_that_fails_is_tried_again_soon(
    output: str, keeper: LeaseKeeper, reasons: Reasons, faults: Faults, clock: Clock
) -> None:
    kept = keeper.keep(acquire(output), reasons)
    faults.lose_request = 1.0
    faults.operations.clear()
    clock.seconds += LEASE_SECONDS / 2
    wait_until(lambda: faults.operations["write"] == 1)
    faults.lose_request = 0.0
    clock.seconds += LEASE_SECONDS / 10
    wait_until(lambda: kept.renewed == clock.seconds)
    assert reasons.reasons == []


def test_a_lease_that_cannot_be_renewed_is_given_up_in_time(
    output: str, keeper: LeaseKeeper, reasons: Reasons, faults: Faults, clock: Clock
) -> None:
    kept = keeper.keep(acquire(output), reasons)
    faults.lose_request = 1.0
    # Before its time is over, in which nobody else may take it.
    clock.seconds += LEASE_SECONDS * 0.9
    assert reasons.lost.wait(PATIENCE)
    [reason] = reasons.reasons
    assert "no heartbeat of" in reason
    faults.lose_request = 0.0
    # Others may have taken it: even where nobody has, the result does not count.
    with pytest.raises(LeaseLostError):
        kept.commit(StepStatus.SUCCESS)
    assert read_log(output).status == StepStatus.RUNNING


def test_a_write_that_hangs_does_not_hide_that_the_lease_expires(
    output: str, keeper: LeaseKeeper, reasons: Reasons, faults: Faults, clock: Clock
) -> None:
    hangs, let_go = threading.Event(), threading.Event()

    def hang(operation: str, path: str) -> bool:
        hangs.set()
        let_go.wait(PATIENCE)
        return False

    keeper.keep(acquire(output), reasons)
    faults.is_hit = hang
    faults.lose_request = 1.0
    try:
        clock.seconds += LEASE_SECONDS / 2
        assert hangs.wait(PATIENCE)
        clock.seconds += LEASE_SECONDS / 2
        assert reasons.lost.wait(PATIENCE)
    finally:
        let_go.set()
    assert "no heartbeat of" in reasons.reasons[0]


def test_the_owner_is_told_when_another_one_has_the_step(
    output: str, keeper: LeaseKeeper, reasons: Reasons, clock: Clock
) -> None:
    keeper.keep(acquire(output), reasons)
    acquire(output)
    clock.seconds += LEASE_SECONDS / 2
    assert reasons.lost.wait(PATIENCE)
    [reason] = reasons.reasons
    assert "attempt 2 is RUNNING" in reason


def test_a_released_lease_is_left_alone(output: str, keeper: LeaseKeeper, reasons: Reasons, clock: Clock) -> None:
    kept = keeper.keep(acquire(output), reasons)
    other = keeper.keep(acquire(f"{output}2"), reasons)
    kept.commit(StepStatus.SUCCESS)
    keeper.release(kept)
    version = read_log(output).file_version
    clock.seconds += LEASE_SECONDS / 2
    wait_until(lambda: other.renewed == clock.seconds)
    assert read_log(output).file_version == version
    assert reasons.reasons == []


def test_a_commit_is_tried_again_until_it_is_known(output: str, reasons: Reasons, faults: Faults) -> None:
    kept = LeaseKeeper(90.0).keep(acquire(output), reasons)
    faults.lose_request = 0.6
    faults.lose_answer = 0.6
    kept.commit(StepStatus.SUCCESS)
    faults.lose_request = 0.0
    assert [event.status for event in read_log(output).events] == ["RUNNING", "SUCCESS"]


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS])
def test_a_commit_that_cannot_work_is_not_tried_again(
    output: str, reasons: Reasons, faults: Faults, error: int
) -> None:
    kept = LeaseKeeper(90.0).keep(acquire(output), reasons)
    faults.error = error
    faults.lose_request = 1.0
    faults.operations.clear()
    with pytest.raises(StorageError, match=os.strerror(error)):
        kept.commit(StepStatus.SUCCESS)
    assert faults.operations == {"write": 1}


def test_a_commit_gives_up_when_the_lease_has_expired(output: str, reasons: Reasons, faults: Faults) -> None:
    seconds = iter(range(0, 1000, 10))
    kept = KeptLease(acquire(output), reasons, lambda: float(next(seconds)))
    faults.lose_request = 1.0
    with pytest.raises(LeaseLostError, match="could not be written in time"):
        kept.commit(StepStatus.SUCCESS)
