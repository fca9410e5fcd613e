import json
from collections.abc import Callable
from pathlib import Path

import pytest

from marin.execution.holders import Holder
from marin.execution.status import (
    MAX_EVENTS,
    STATUS_FILE,
    StatusEvent,
    StatusLog,
    StepStatus,
    read_log,
    read_logs,
    read_status,
    write_event,
)
from marin.storage import StorageError
from marin.storage.conditional import ConflictError

SetStatus = Callable[..., None]


def test_the_file_is_a_log_whose_last_event_is_the_status(tmp_path: Path, set_status: SetStatus) -> None:
    set_status(str(tmp_path), StepStatus.RUNNING)
    set_status(str(tmp_path), StepStatus.FAILED, "ValueError: é\nmore")
    lines = [json.loads(line) for line in (tmp_path / STATUS_FILE).read_text().splitlines()]
    # The four keys that Marin's executor of the Ray era wrote, and no others where nothing else is known.
    assert [set(line) for line in lines] == [{"date", "status", "message", "task_id"}] * 2
    assert read_status(str(tmp_path)) == StepStatus.FAILED
    assert [(event.status, event.message) for event in read_log(str(tmp_path)).events] == [
        ("RUNNING", None),
        ("FAILED", "ValueError: é\nmore"),
    ]


def test_an_event_survives_the_file(tmp_path: Path) -> None:
    event = StatusEvent.now(
        StepStatus.RUNNING,
        task_id="a",
        epoch=3,
        version="d" * 64,
        holders=(Holder.current(), Holder(host="é", machine="", pid=1, started=0)),
        heartbeat="2026-01-01T00:00:00+00:00",
        lease_seconds=1.5,
        job="/user/job",
    )
    write_event(str(tmp_path), StatusLog(), event)
    log = read_log(str(tmp_path))
    assert (log.last, log.epoch, log.version) == (event, 3, "d" * 64)


def test_a_log_that_was_written_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    log = read_log(str(tmp_path))
    write_event(str(tmp_path), log, StatusEvent.now(StepStatus.RUNNING))
    with pytest.raises(ConflictError):
        write_event(str(tmp_path), log, StatusEvent.now(StepStatus.SUCCESS))
    assert read_status(str(tmp_path)) == StepStatus.RUNNING


def test_the_last_event_can_be_renewed(tmp_path: Path) -> None:
    log = StatusLog()
    for status, in_place in ((StepStatus.FAILED, False), (StepStatus.RUNNING, False), (StepStatus.RUNNING, True)):
        log = write_event(str(tmp_path), log, StatusEvent.now(status), in_place_of_last=in_place)
    assert [event.status for event in read_log(str(tmp_path)).events] == ["FAILED", "RUNNING"]


def test_a_log_does_not_grow_without_end(tmp_path: Path) -> None:
    log = StatusLog()
    for epoch in range(MAX_EVENTS + 50):
        log = write_event(str(tmp_path), log, StatusEvent.now(StepStatus.RUNNING, epoch=epoch))
    events = read_log(str(tmp_path)).events
    assert (len(events), events[-1].epoch) == (MAX_EVENTS, MAX_EVENTS + 49)


def test_logs_of_ray_era_marin_are_read_and_continued(tmp_path: Path, set_status: SetStatus) -> None:
    events = [
        {"date": "2025-01-01T00:00:00", "status": "RUNNING", "message": None, "ray_task_id": "1"},
        {"date": "2025-01-01T00:00:09", "status": "SUCCESS", "message": None, "ray_task_id": "1"},
    ]
    (tmp_path / STATUS_FILE).write_text("".join(json.dumps(event) + "\n" for event in events))
    assert read_status(str(tmp_path)) == StepStatus.SUCCESS
    set_status(str(tmp_path), StepStatus.WAITING)
    assert [(event.date[:4], event.status) for event in read_log(str(tmp_path)).events][:2] == [
        ("2025", "RUNNING"),
        ("2025", "SUCCESS"),
    ]


@pytest.mark.parametrize("word", ["SUCCESS", "SUCCESS\n"])
def test_the_word_of_later_marin_is_read_and_continued(tmp_path: Path, set_status: SetStatus, word: str) -> None:
    (tmp_path / STATUS_FILE).write_text(word)
    assert read_status(str(tmp_path)) == StepStatus.SUCCESS
    set_status(str(tmp_path), StepStatus.WAITING)
    assert [event.status for event in read_log(str(tmp_path)).events] == ["SUCCESS", "WAITING"]


def test_no_status(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = read_log(str(tmp_path))
    assert (log.status, log.events, log.last, log.epoch, log.is_unreadable) == (None, [], None, 0, False)
    assert not caplog.records


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"SUCC",
        b"SUCCESS FAILED",
        b"RUNNING\nSUCCESS",
        b"success",
        b"\xff\xfe\x00",
        b"{broken",
        b"[]",
        b'{"status": 3}',
        b'{"status": "SUCCESS"} and more',
        # What was to be the last event is not whole, so that it is not known what the status is.
        b'{"date": "x", "status": "SUCCESS"}\n{"date": "y", "stat',
    ],
)
def test_an_unreadable_status_is_none_and_warned_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, set_status: SetStatus, content: bytes
) -> None:
    (tmp_path / STATUS_FILE).write_bytes(content)
    log = read_log(str(tmp_path))
    assert (log.status, log.is_unreadable) == (None, True)
    assert f"{tmp_path / STATUS_FILE} holds no valid status" in caplog.text
    set_status(str(tmp_path), StepStatus.SUCCESS)
    assert read_status(str(tmp_path)) == StepStatus.SUCCESS


def test_a_status_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / STATUS_FILE).mkdir()
    with pytest.raises(StorageError, match=STATUS_FILE):
        read_status(str(tmp_path))


@pytest.mark.parametrize("scheme", ["", "memory://"])
def test_many_statuses(tmp_path: Path, set_status: SetStatus, scheme: str) -> None:
    paths = [f"{scheme}{tmp_path}/{name}" for name in "abc"]
    set_status(paths[1], StepStatus.SUCCESS)
    assert [log.status for log in read_logs(paths).values()] == [None, StepStatus.SUCCESS, None]


def test_a_status_that_cannot_be_written_is_an_error(tmp_path: Path, set_status: SetStatus) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="file"):
        set_status(str(tmp_path / "file"), StepStatus.RUNNING)
