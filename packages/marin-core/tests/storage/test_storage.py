"""Files on any fsspec path: whole or not at all, found by pattern, errors that name the path."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from marin import storage
from marin.errors import UsageError
from marin.storage import DamagedFileError, StorageError


@pytest.fixture(params=["disk", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "disk":
        yield str(tmp_path)
    else:
        yield f"memory://{tmp_path.name}"
        storage.remove(f"memory://{tmp_path.name}")


@pytest.mark.parametrize("ending", ["txt", "gz", "bz2", "xz", "zst"])
def test_what_is_written_is_read_back_through_its_compression(folder: str, ending: str):
    path = storage.join(folder, "a", f"file.{ending}")
    storage.write_text(path, "grüße\n" * 100)
    assert storage.read_text(path) == "grüße\n" * 100
    fs, native = storage.filesystem(path)
    with fs.open(native, "rb") as stream:
        plain = stream.read() == ("grüße\n" * 100).encode()
    assert plain == (ending == "txt")


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz", "zst"])
def test_the_same_text_gives_the_same_file(folder: str, ending: str):
    files: list[bytes] = []
    for name in ("a", "b"):
        path = storage.join(folder, f"{name}.{ending}")
        storage.write_text(path, "text")
        fs, native = storage.filesystem(path)
        with fs.open(native, "rb") as stream:
            files.append(stream.read())
    assert files[0] == files[1]


def write_half(path: str, error: BaseException) -> None:
    with storage.open_atomic(path) as stream:
        stream.write(b"half of")
        raise error


def test_a_failed_write_leaves_the_old_file_and_nothing_else(folder: str):
    path = storage.join(folder, "file.json")
    storage.write_json(path, {"old": True})
    with pytest.raises(RuntimeError):
        write_half(path, RuntimeError())
    assert storage.read_json(path) == {"old": True}
    fs, native = storage.filesystem(folder)
    assert [name.rsplit("/", 1)[-1] for name in fs.glob(f"{native}/*")] == ["file.json"]


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path):
    (tmp_path / "file").mkdir()
    with pytest.raises(StorageError, match=r"cannot write .*file: Is a directory"):
        storage.write_text(str(tmp_path / "file"), "text")
    assert list(tmp_path.rglob("*")) == [tmp_path / "file"]


def test_an_interrupted_write_leaves_nothing(folder: str):
    with pytest.raises(KeyboardInterrupt):
        write_half(storage.join(folder, "file"), KeyboardInterrupt())
    fs, native = storage.filesystem(folder)
    assert fs.glob(f"{native}/**") in ([], [native], [f"{native}/"])


def test_expand_gives_sorted_files_without_hidden_and_unfinished_ones(folder: str):
    for name in ("b.jsonl", "a/c.jsonl", ".hidden/d.jsonl", "e.jsonl.tmp.123", "f.txt"):
        storage.write_text(storage.join(folder, name), "")
    expected = [storage.join(folder, "a/c.jsonl"), storage.join(folder, "b.jsonl")]
    found = storage.expand([storage.join(folder, "**/*.jsonl*"), storage.join(folder, "b.jsonl")])
    assert [path.replace(":///", "://") for path in found] == expected


def test_expand_of_a_missing_file_is_empty(folder: str):
    assert storage.expand(storage.join(folder, "none")) == []


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        (("gs://b/", "/x/", "y"), "gs://b/x/y"),
        (("/", "x"), "/x"),
        (("a", ""), "a"),
        (("/",), "/"),
    ],
)
def test_join(parts: tuple[str, ...], joined: str):
    assert storage.join(*parts) == joined


def test_absolute_leaves_urls_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    assert storage.absolute("out") == str(tmp_path / "out")
    assert storage.absolute("gs://bucket/out/") == "gs://bucket/out"


def test_removing_nothing_is_no_error(folder: str):
    storage.remove(storage.join(folder, "none"))
    storage.write_text(storage.join(folder, "tree/file"), "")
    storage.remove(storage.join(folder, "tree"))
    assert not storage.exists(storage.join(folder, "tree"))


def test_a_missing_file_is_named(folder: str):
    path = storage.join(folder, "none")
    with pytest.raises(StorageError, match=f"cannot read {path}: no such file or folder"):
        storage.read_text(path)


def test_what_is_not_utf8_or_json_is_named(tmp_path: Path):
    (tmp_path / "latin").write_bytes(b"gr\xfc\xdfe")
    (tmp_path / "cut.json").write_text('{"a": ')
    with pytest.raises(StorageError, match="latin is not UTF-8"):
        storage.read_text(str(tmp_path / "latin"))
    with pytest.raises(StorageError, match=r"cut\.json is not JSON"):
        storage.read_json(str(tmp_path / "cut.json"))


@pytest.mark.parametrize("ending", ["gz", "zst"])
@pytest.mark.parametrize("damage", ["cut short", "overwritten"])
def test_a_damaged_compressed_file_is_named(tmp_path: Path, ending: str, damage: str):
    file = tmp_path / f"text.{ending}"
    storage.write_text(str(file), "".join(f"{number} " for number in range(100_000)))
    data = bytearray(file.read_bytes())
    half = len(data) // 2
    file.write_bytes(data[:half] if damage == "cut short" else data[:half] + b"\xff" * half)
    with pytest.raises(DamagedFileError, match=rf"text\.{ending}: its compressed data are cut off or damaged"):
        storage.read_text(str(file))


def test_expand_of_file_urls_gives_urls_that_can_be_read(tmp_path: Path):
    (tmp_path / "a.txt").write_text("hello")
    (found,) = storage.expand(f"file://{tmp_path}/*.txt")
    assert (found, storage.read_text(found)) == (f"file://{tmp_path}/a.txt", "hello")


def test_an_unknown_scheme_is_a_usage_error():
    with pytest.raises(UsageError, match="cannot use the path nowhere://x/y"):
        storage.read_text("nowhere://x/y")


class ReadOnlyFileSystem(MemoryFileSystem):
    """A mount that lets nobody write."""

    protocol = "readonly"

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if mode != "rb":
            raise OSError(errno.EROFS, "Read-only file system")
        return super()._open(path, mode, **options)


def test_a_read_only_output_is_named(monkeypatch: pytest.MonkeyPatch):
    fsspec.register_implementation("readonly", ReadOnlyFileSystem, clobber=True)
    monkeypatch.setattr(storage, "_DIRECT_SCHEMES", ("file", "readonly"))
    with pytest.raises(StorageError, match="cannot write readonly://out/file: Read-only file system"):
        storage.write_text("readonly://out/file", "text")
