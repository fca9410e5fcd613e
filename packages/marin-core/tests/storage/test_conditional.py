import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from marin.errors import UsageError
from marin.storage import StorageError
from marin.storage.conditional import ConflictError, read_versioned, write_versioned
from marin.storage.testing import Faults, faulty_storage


@pytest.fixture(params=["local", "file://", "memory", "faulty"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A file that does not exist, in a folder that does not, on every kind of storage that runs here."""
    if request.param == "faulty":
        with faulty_storage(Faults()) as scheme:
            yield f"{scheme}://{tmp_path}/folder/file"
    else:
        places = {"local": f"{tmp_path}", "file://": f"file://{tmp_path}", "memory": f"memory://{tmp_path}"}
        yield f"{places[request.param]}/folder/file"


def test_a_file_is_created_once(path: str) -> None:
    assert read_versioned(path) is None
    version = write_versioned(path, b"first", expected=None)
    with pytest.raises(ConflictError, match="written by somebody else"):
        write_versioned(path, b"second", expected=None)
    assert read_versioned(path) == (b"first", version)


def test_a_file_is_replaced_if_it_is_as_it_was_read(path: str) -> None:
    write_versioned(path, b"first", expected=None)
    read = read_versioned(path)
    assert read is not None
    second = write_versioned(path, b"second", expected=read.version)
    with pytest.raises(ConflictError):
        write_versioned(path, b"third", expected=read.version)
    assert read_versioned(path) == (b"second", second)


def test_a_file_that_is_gone_is_not_replaced(path: str) -> None:
    version = write_versioned(path, b"first", expected=None)
    with pytest.raises(ConflictError):
        write_versioned(f"{path}-other", b"second", expected=version)
    assert read_versioned(f"{path}-other") is None


def test_large_files_are_whole(path: str) -> None:
    data = os.urandom(3 * 65536)
    write_versioned(path, data, expected=None)
    read = read_versioned(path)
    assert read is not None
    assert read.data == data


def test_nothing_else_remains(tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    version = write_versioned(path, b"first", expected=None)
    write_versioned(path, b"second", expected=version)
    for expected in (None, version):
        with pytest.raises(ConflictError):
            write_versioned(path, b"third", expected=expected)
    assert os.listdir(tmp_path) == ["file"]


def test_of_many_writers_one_wins_each_round(path: str) -> None:
    write_versioned(path, b"0", expected=None)
    wins: list[int] = []

    def count(me: int) -> None:
        for _ in range(25):
            read = read_versioned(path)
            assert read is not None
            try:
                write_versioned(path, str(int(read.data) + 1).encode(), expected=read.version)
            except ConflictError:
                continue
            wins.append(me)

    threads = [threading.Thread(target=count, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    read = read_versioned(path)
    assert read is not None
    assert int(read.data) == len(wins)
    assert len(wins) >= 25


COUNT_IN_PROCESS = """
import sys
from marin.storage.conditional import ConflictError, read_versioned, write_versioned

wins = 0
while wins < 100:
    read = read_versioned(sys.argv[1])
    try:
        write_versioned(sys.argv[1], str(int(read.data) + 1).encode(), expected=read.version)
    except ConflictError:
        continue
    wins += 1
"""


def test_of_many_processes_none_overwrites_another(tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    write_versioned(path, b"0", expected=None)
    processes = [subprocess.Popen([sys.executable, "-c", COUNT_IN_PROCESS, path]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    read = read_versioned(path)
    assert read is not None
    assert read.data == b"300"


def test_storage_without_conditional_writes_is_refused() -> None:
    with pytest.raises(UsageError, match=r"data:// has no conditional writes.*use a local path, gs:// or s3://"):
        read_versioned("data://text/plain,hello")


def test_what_is_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="folder"):
        read_versioned(str(tmp_path / "folder"))
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match="file/below"):
        write_versioned(str(tmp_path / "file/below"), b"", expected=None)


def test_the_answer_to_a_write_may_be_lost(tmp_path: Path) -> None:
    with faulty_storage(Faults(lose_answer=1.0)) as scheme:
        path = f"{scheme}://{tmp_path}/file"
        with pytest.raises(StorageError, match="Input/output error"):
            write_versioned(path, b"arrived", expected=None)
    assert (tmp_path / "file").read_bytes() == b"arrived"
