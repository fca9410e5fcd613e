import json
from pathlib import Path

import pytest

from marin.execution.status import (
    EVENTS_FILE,
    STATUS_FILE,
    StepStatus,
    read_events,
    read_status,
    read_statuses,
    write_status,
)
from marin.storage import StorageError


def test_a_status_is_one_token(tmp_path: Path) -> None:
    write_status(str(tmp_path), StepStatus.RUNNING)
    write_status(str(tmp_path), StepStatus.FAILED, "ValueError: é")
    assert (tmp_path / STATUS_FILE).read_text() == "FAILED"
    assert read_status(str(tmp_path)) == StepStatus.FAILED


def test_events_are_kept_in_order(tmp_path: Path) -> None:
    write_status(str(tmp_path), StepStatus.RUNNING)
    write_status(str(tmp_path), StepStatus.FAILED, "ValueError: é\nmore")
    assert [(event.status, event.message) for event in read_events(str(tmp_path))] == [
        ("RUNNING", None),
        ("FAILED", "ValueError: é\nmore"),
    ]
    assert len((tmp_path / EVENTS_FILE).read_text().splitlines()) == 2


def test_status_of_an_object_in_memory_storage() -> None:
    path = "memory://status-test/output"
    write_status(path, StepStatus.RUNNING)
    write_status(path, StepStatus.SUCCESS)
    assert read_status(path) == StepStatus.SUCCESS
    assert len(read_events(path)) == 2


def test_logs_of_ray_era_marin_are_read(tmp_path: Path) -> None:
    events = [
        {"date": "2025-01-01T00:00:00", "status": "RUNNING", "message": None, "ray_task_id": "1"},
        {"date": "2025-01-01T00:00:09", "status": "SUCCESS", "message": None, "ray_task_id": "1"},
    ]
    (tmp_path / STATUS_FILE).write_text("".join(json.dumps(event) + "\n" for event in events))
    assert read_status(str(tmp_path)) == StepStatus.SUCCESS
    assert [event.date for event in read_events(str(tmp_path))] == ["2025-01-01T00:00:00", "2025-01-01T00:00:09"]


def test_a_log_cut_in_its_last_line_counts_up_to_there(tmp_path: Path) -> None:
    (tmp_path / STATUS_FILE).write_text('{"date": "x", "status": "RUNNING"}\n{"date": "y", "stat')
    assert read_status(str(tmp_path)) == StepStatus.RUNNING


def test_no_status(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read_status(str(tmp_path)) is None
    assert read_events(str(tmp_path)) == []
    assert not caplog.records


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"SUCC", b"SUCCESS FAILED", b"success", b"\xff\xfe\x00", b"{broken", b"[]", b'{"status": 3}'],
)
def test_an_unreadable_status_is_none_and_warned_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    (tmp_path / STATUS_FILE).write_bytes(content)
    assert read_status(str(tmp_path)) is None
    assert f"{tmp_path / STATUS_FILE} holds no valid status" in caplog.text


def test_a_status_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / STATUS_FILE).mkdir()
    with pytest.raises(StorageError, match=STATUS_FILE):
        read_status(str(tmp_path))


def test_many_statuses(tmp_path: Path) -> None:
    write_status(str(tmp_path / "a"), StepStatus.SUCCESS)
    paths = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert read_statuses(paths) == {paths[0]: StepStatus.SUCCESS, paths[1]: None}


def test_a_status_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="file"):
        write_status(str(tmp_path / "file"), StepStatus.RUNNING)
