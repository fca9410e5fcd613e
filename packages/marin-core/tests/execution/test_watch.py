"""Whether the owner of a step counts as alive."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from marin.execution.holders import Holder
from marin.execution.lease import Lease
from marin.execution.status import STATUS_FILE, StatusEvent, StatusLog, StepStatus, read_log, write_event
from marin.execution.watch import FOREIGN_LOCK_FILE, MAX_CLOCK_SKEW_SECONDS, Watch

ELSEWHERE = Holder(host="other", machine="another start", pid=1, started=1)
NOW = 1_800_000_000.0


class Clocks:
    """Clocks that stand still unless they are moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def watch(self) -> Watch:
        return Watch(clock=lambda: self.seconds, wall_clock=lambda: NOW + self.seconds)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def output(tmp_path: Path) -> str:
    return str(tmp_path / "output")


def date(age: float) -> str:
    return datetime.fromtimestamp(NOW - age, UTC).isoformat()


def run_elsewhere(output: str, heartbeat: str, holder: Holder = ELSEWHERE) -> None:
    event = StatusEvent.now(
        StepStatus.RUNNING, task_id="a", epoch=1, holders=(holder,), heartbeat=heartbeat, lease_seconds=90.0
    )
    write_event(output, StatusLog(), event)


def owner(watch: Watch, output: str) -> str | None:
    return watch.owner(output, read_log(output))


def test_nobody_runs_what_has_ended_or_not_begun(output: str, clocks: Clocks) -> None:
    assert owner(clocks.watch(), output) is None
    lease = Lease.acquire(output, read_log(output), version="v")
    lease.commit(StepStatus.FAILED)
    assert owner(clocks.watch(), output) is None


def test_a_process_of_this_machine_is_asked_for(output: str) -> None:
    Lease.acquire(output, read_log(output), version="v")
    assert owner(Watch(), output) == f"process {os.getpid()} on {os.uname().nodename} (attempt 1)"


ACQUIRE = """
import sys
from marin.execution.lease import Lease
from marin.execution.status import read_log

Lease.acquire(sys.argv[1], read_log(sys.argv[1]), version="v")
print("acquired", flush=True)
sys.stdin.read()
"""


def test_a_process_that_was_killed_is_noticed_at_once(output: str, clocks: Clocks) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ACQUIRE, output], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "acquired\n"
        assert owner(Watch(), output) is not None
        process.kill()
        # Dead and not reaped yet: a zombie runs nothing.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert owner(clocks.watch(), output) is None
    assert owner(clocks.watch(), output) is None


def test_a_process_id_that_was_used_again_is_another_process(output: str, clocks: Clocks) -> None:
    me = Holder.current()
    run_elsewhere(output, date(0), Holder(host=me.host, machine=me.machine, pid=me.pid, started=me.started + 1))
    assert owner(clocks.watch(), output) is None


def test_an_owner_elsewhere_is_dead_when_its_file_has_not_changed_for_its_lease(output: str, clocks: Clocks) -> None:
    run_elsewhere(output, date(0))
    watch = clocks.watch()
    for clocks.seconds in (0.0, 45.0, 89.9):
        assert owner(watch, output) == "process 1 on other (attempt 1)"
    clocks.seconds = 90.1
    assert owner(watch, output) is None


def test_every_heartbeat_counts_anew(output: str, clocks: Clocks) -> None:
    run_elsewhere(output, date(0))
    watch = clocks.watch()
    assert owner(watch, output) is not None
    clocks.seconds = 80.0
    log = read_log(output)
    assert log.last is not None
    write_event(output, log, StatusEvent.from_json({**json.loads(log.lines[-1]), "heartbeat": date(-80)}) or log.last)
    assert owner(watch, output) is not None
    clocks.seconds = 169.0
    assert owner(watch, output) is not None
    clocks.seconds = 171.0
    assert owner(watch, output) is None


@pytest.mark.parametrize("heartbeat", [date(-1e6), "", "yesterday", "9999-12-31T00:00:00+00:00"])
def test_a_heartbeat_from_the_future_or_without_a_time_does_not_hold_for_ever(
    output: str, clocks: Clocks, heartbeat: str
) -> None:
    run_elsewhere(output, heartbeat)
    watch = clocks.watch()
    assert owner(watch, output) is not None
    clocks.seconds = 91.0
    assert owner(watch, output) is None


@pytest.mark.parametrize("skew", [-250.0, 0.0, 250.0])
def test_clocks_that_differ_do_not_kill_an_owner(output: str, clocks: Clocks, skew: float) -> None:
    run_elsewhere(output, date(skew))
    assert owner(clocks.watch(), output) is not None


def test_what_is_left_of_long_ago_is_recognised_at_once(output: str, clocks: Clocks) -> None:
    run_elsewhere(output, date(90 + MAX_CLOCK_SKEW_SECONDS + 1))
    assert owner(clocks.watch(), output) is None


@pytest.mark.parametrize("content", [b"", b"{half", b"\xff\xfe"])
def test_an_unreadable_status_may_be_somebody_s_until_it_is_old(output: str, content: bytes) -> None:
    os.makedirs(output)
    path = Path(output, STATUS_FILE)
    path.write_bytes(content)
    message = owner(Watch(), output)
    assert message is not None
    assert str(path) in message
    os.utime(path, (1e9, 1e9))
    assert owner(Watch(), output) is None


def test_an_unreadable_status_from_the_future_does_not_hold_for_ever(output: str, clocks: Clocks) -> None:
    os.makedirs(output)
    path = Path(output, STATUS_FILE)
    path.write_bytes(b"{half")
    os.utime(path, (4e9, 4e9))
    watch = clocks.watch()
    assert owner(watch, output) is not None
    clocks.seconds = 91.0
    assert owner(watch, output) is None


class TestLocksOfMarinsOwnExecutor:
    """It writes the word RUNNING, and a lock file beside it."""

    @pytest.fixture
    def lock(self, output: str) -> Path:
        os.makedirs(output)
        Path(output, STATUS_FILE).write_text("RUNNING")
        return Path(output, FOREIGN_LOCK_FILE)

    def test_without_a_lock_nobody_runs_it(self, output: str, lock: Path, clocks: Clocks) -> None:
        assert not lock.exists()
        assert owner(clocks.watch(), output) is None

    def test_its_owner_is_waited_for_and_taken_over(self, output: str, lock: Path, clocks: Clocks) -> None:
        lock.write_text(json.dumps({"worker_id": "host-7", "timestamp": NOW}))
        watch = clocks.watch()
        assert owner(watch, output) == "worker host-7"
        clocks.seconds = 80.0
        lock.write_text(json.dumps({"worker_id": "host-7", "timestamp": NOW + 80}))
        assert owner(watch, output) == "worker host-7"
        clocks.seconds = 171.0
        assert owner(watch, output) is None

    def test_an_old_lock_is_left_over(self, output: str, lock: Path, clocks: Clocks) -> None:
        lock.write_text(json.dumps({"worker_id": "host-7", "timestamp": NOW - 3600}))
        assert owner(clocks.watch(), output) is None

    @pytest.mark.parametrize("content", [b"", b"\xff", b"{half", b"[]", b'{"worker_id": "a", "timestamp": "soon"}'])
    def test_an_unreadable_lock_is_respected_until_it_is_old(self, output: str, lock: Path, content: bytes) -> None:
        lock.write_bytes(content)
        message = owner(Watch(), output)
        assert message is not None
        assert str(lock) in message
        os.utime(lock, (1e9, 1e9))
        assert owner(Watch(), output) is None
