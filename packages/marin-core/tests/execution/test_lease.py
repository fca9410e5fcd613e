"""The lease protocol: who may run a step, and whose result counts."""

import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from marin.execution.holders import Holder
from marin.execution.lease import Lease, LeaseLostError
from marin.execution.status import STATUS_FILE, StatusEvent, StatusLog, StepStatus, read_log, write_event
from marin.execution.watch import Watch
from marin.storage import StorageError
from marin.storage.conditional import ConflictError
from marin.storage.testing import Faults, faulty_storage

VERSION = "d" * 64
ELSEWHERE = Holder(host="other", machine="another start", pid=1, started=1)


@pytest.fixture
def output(tmp_path: Path) -> str:
    return str(tmp_path / "output")


def acquire(output: str, seconds: float = 90.0) -> Lease:
    return Lease.acquire(output, read_log(output), version=VERSION, seconds=seconds)


def take_over(output: str) -> Lease:
    """What another executor does that has found the owner dead."""
    return acquire(output)


def test_an_attempt_runs_and_commits(output: str) -> None:
    lease = acquire(output)
    log = read_log(output)
    assert (log.status, log.epoch, log.version) == (StepStatus.RUNNING, 1, VERSION)
    lease.commit(StepStatus.SUCCESS)
    assert [(event.status, event.epoch, event.task_id) for event in read_log(output).events] == [
        ("RUNNING", 1, lease.attempt_id),
        ("SUCCESS", 1, lease.attempt_id),
    ]


def test_of_two_that_have_read_the_same_one_gets_the_step(output: str) -> None:
    log = read_log(output)
    Lease.acquire(output, log, version=VERSION)
    with pytest.raises(ConflictError):
        Lease.acquire(output, log, version=VERSION)


@pytest.mark.parametrize("status", [StepStatus.SUCCESS, StepStatus.FAILED, StepStatus.CANCELLED])
def test_an_owner_that_lost_its_lease_commits_nothing(output: str, status: StepStatus) -> None:
    first = acquire(output)
    second = take_over(output)
    assert second.epoch == 2
    with pytest.raises(LeaseLostError, match=r"attempt 2 is RUNNING by process \d+"):
        first.commit(status)
    with pytest.raises(LeaseLostError):
        first.refresh()
    second.commit(StepStatus.SUCCESS)
    with pytest.raises(LeaseLostError, match="attempt 2 is SUCCESS"):
        first.commit(status)
    assert read_log(output).status == StepStatus.SUCCESS
    assert read_log(output).epoch == 2


def test_an_attempt_ends_once(output: str) -> None:
    lease = acquire(output)
    lease.commit(StepStatus.CANCELLED, "interrupted")
    with pytest.raises(LeaseLostError, match="the attempt has ended as CANCELLED"):
        lease.commit(StepStatus.SUCCESS)
    assert read_log(output).status == StepStatus.CANCELLED


@pytest.mark.parametrize("damage", [b"", b"{half", b"\xff"])
def test_a_status_that_was_damaged_belongs_to_nobody(output: str, damage: bytes) -> None:
    lease = acquire(output)
    Path(output, STATUS_FILE).write_bytes(damage)
    with pytest.raises(LeaseLostError, match="its status is gone or unreadable"):
        lease.commit(StepStatus.SUCCESS)
    Path(output, STATUS_FILE).unlink()
    with pytest.raises(LeaseLostError, match="its status is gone or unreadable"):
        lease.refresh()


def test_a_heartbeat_is_all_that_a_refresh_changes(output: str) -> None:
    lease = acquire(output)
    before = read_log(output)
    lease.refresh()
    lease.set_job("/user/job")
    after = read_log(output)
    assert len(after.events) == 1
    assert before.last is not None
    assert after.last is not None
    assert after.last.date == before.last.date
    assert after.last.job == "/user/job"
    assert after.file_version != before.file_version


def test_the_process_of_a_job_shares_the_lease(output: str) -> None:
    executor = acquire(output)
    job = Lease.join(output, executor.attempt_id)
    assert job is not None
    executor.refresh()
    job.refresh()
    executor.set_job("/user/job")
    log = read_log(output).last
    assert log is not None
    assert log.holders == (Holder.current(), Holder.current())
    job.commit(StepStatus.SUCCESS)
    # The executor sees the success of its own attempt, and cannot fail it any more.
    with pytest.raises(LeaseLostError, match="the attempt has ended as SUCCESS"):
        executor.commit(StepStatus.FAILED, "the job's process died afterwards")
    assert Lease.join(output, executor.attempt_id) is None
    assert read_log(output).last is not None
    assert read_log(output).status == StepStatus.SUCCESS


def test_a_job_that_comes_too_late_does_not_run(output: str) -> None:
    first = acquire(output)
    take_over(output)
    with pytest.raises(LeaseLostError):
        Lease.join(output, first.attempt_id)
    with pytest.raises(LeaseLostError):
        Lease.join(str(Path(output).parent / "nowhere"), first.attempt_id)


def test_a_lost_answer_is_found_again(tmp_path: Path) -> None:
    faults = Faults()
    with faulty_storage(faults) as scheme:
        output = f"{scheme}://{tmp_path}/output"
        log = read_log(output)
        faults.lose_answer = 1.0
        lease = Lease.acquire(output, log, version=VERSION)
        with pytest.raises(StorageError):
            lease.commit(StepStatus.SUCCESS)
        faults.lose_answer = 0.0
        lease.commit(StepStatus.SUCCESS)
        assert [event.status for event in read_log(output).events] == ["RUNNING", "SUCCESS"]


def test_a_lost_request_is_an_error(tmp_path: Path) -> None:
    faults = Faults()
    with faulty_storage(faults) as scheme:
        output = f"{scheme}://{tmp_path}/output"
        log = read_log(output)
        faults.lose_request = 1.0
        faults.is_hit = lambda operation, path: operation == "write"
        with pytest.raises(StorageError, match="Input/output error"):
            Lease.acquire(output, log, version=VERSION)
    assert read_log(f"{tmp_path}/output").status is None


FORK = """
import os, sys
from marin.execution.holders import Holder
from marin.execution.lease import Lease, LeaseLostError
from marin.execution.status import StepStatus, read_log

output = sys.argv[1]
lease = Lease.acquire(output, read_log(output), version="v")
parent = Holder.current()
child = os.fork()
if child == 0:
    status = 0
    try:
        lease.commit(StepStatus.SUCCESS)
        status = 1
    except LeaseLostError:
        pass
    if Holder.current() == parent or parent.is_dead():
        status = 2
    os._exit(status)
_, wait_status = os.waitpid(child, 0)
lease.refresh()
lease.commit(StepStatus.FAILED)
sys.exit(os.waitstatus_to_exitcode(wait_status))
"""


def test_a_fork_is_another_process(output: str) -> None:
    result = subprocess.run([sys.executable, "-c", FORK, output], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert read_log(output).status == StepStatus.FAILED


class Contender:
    """An executor on another machine that wants the step: runs it if it can, until somebody has succeeded."""

    def __init__(self, output: str, seed: int, committed: list[tuple[int, str]]) -> None:
        self._output = output
        self._random = random.Random(seed)
        self._committed = committed
        # A clock that jumps: now and then an owner seems dead that is not.
        self._watch = Watch(clock=lambda: self._random.choice([0.0, 0.0, 0.0, 1e6]))

    def run(self) -> None:
        while True:
            try:
                log = read_log(self._output)
            except StorageError:
                continue
            if log.status == StepStatus.SUCCESS:
                return
            if self._watch.owner(self._output, log) is not None:
                continue
            try:
                lease = Lease.acquire(self._output, log, version=VERSION, holder=ELSEWHERE)
            except (ConflictError, StorageError):
                continue
            self._run_body(lease)

    def _run_body(self, lease: Lease) -> None:
        status = self._random.choice([StepStatus.SUCCESS, StepStatus.FAILED])
        for _ in range(self._random.randrange(3)):
            self._try(lease.refresh)
        for _ in range(20):
            ended = self._try(lambda: lease.commit(status))
            if ended is not None:
                if ended:
                    self._committed.append((lease.epoch, status.value))
                return

    def _try(self, write: Callable[[], None]) -> bool | None:
        try:
            write()
            return True
        except LeaseLostError:
            return False
        except StorageError:
            return None


@pytest.mark.parametrize("contenders", [2, 8])
def test_no_interleaving_commits_an_epoch_twice(tmp_path: Path, contenders: int) -> None:
    """Hundreds of races over storage that loses requests and answers and takes its time, each with its own seed."""
    for seed in range(150):
        output = f"{tmp_path}/{contenders}-{seed}"
        committed: list[tuple[int, str]] = []
        faults = Faults(seed=seed, lose_request=0.1, lose_answer=0.1, longest_delay=0.0005)
        with faulty_storage(faults) as scheme:
            runs = [Contender(f"{scheme}://{output}", seed * 100 + index, committed).run for index in range(contenders)]
            threads = [threading.Thread(target=run) for run in runs]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        check_history(output, committed)


def check_history(output: str, committed: list[tuple[int, str]]) -> None:
    events = read_log(output).events
    starts = [event.epoch for event in events if event.status == "RUNNING"]
    ends = [(event.epoch, event.status) for event in events if event.status != "RUNNING"]
    assert starts == list(range(1, len(starts) + 1)), "every epoch has one attempt"
    assert len({epoch for epoch, _ in ends}) == len(ends), "every epoch ends at most once"
    assert [status for _, status in ends].count("SUCCESS") == 1, "one result"
    assert ends[-1][1] == "SUCCESS", "nothing runs after the result"
    # What a contender took for committed is in the log; an answer that stayed lost may be missing on its side.
    assert set(committed) <= set(ends)
    assert len(set(committed)) == len(committed)


CONTEND = """
import importlib.util, os, sys

file, folder, seed, how = sys.argv[1:]
spec = importlib.util.spec_from_file_location("test_lease", file)
test_lease = importlib.util.module_from_spec(spec)
spec.loader.exec_module(test_lease)

child = os.fork() if how == "fork" else None
for index in range(20):
    own_seed = int(seed) * 100 + index * 2 + (child == 0)
    faults = test_lease.Faults(seed=own_seed, lose_request=0.1, lose_answer=0.1)
    with test_lease.faulty_storage(faults) as scheme:
        test_lease.Contender(f"{scheme}://{folder}/{index}", own_seed, []).run()
if child == 0:
    os._exit(0)
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("how", ["processes", "fork"])
def test_no_interleaving_of_processes_commits_an_epoch_twice(tmp_path: Path, how: str) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", CONTEND, __file__, str(tmp_path), str(seed), how]) for seed in range(4)
    ]
    assert [process.wait() for process in processes] == [0, 0, 0, 0]
    for index in range(20):
        check_history(str(tmp_path / str(index)), [])


def test_another_marin_s_status_is_taken_over(output: str) -> None:
    os.makedirs(output)
    Path(output, STATUS_FILE).write_text("FAILED")
    lease = acquire(output)
    lease.commit(StepStatus.SUCCESS)
    assert [event.status for event in read_log(output).events] == ["FAILED", "RUNNING", "SUCCESS"]


def test_an_event_of_another_attempt_is_not_renewed(output: str) -> None:
    first = acquire(output)
    log = write_event(output, read_log(output), StatusEvent.now(StepStatus.CANCELLED, message="unlocked", epoch=1))
    assert isinstance(log, StatusLog)
    with pytest.raises(LeaseLostError):
        first.refresh()
    assert read_log(output).status == StepStatus.CANCELLED
