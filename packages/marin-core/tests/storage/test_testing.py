"""The file system that fails on purpose."""

from pathlib import Path

import pytest

from marin import storage
from marin.storage import StorageError
from marin.storage.testing import Faults, faulty_storage


def test_without_faults_it_is_the_local_disk(tmp_path: Path) -> None:
    with faulty_storage(Faults()) as scheme:
        url = f"{scheme}://{tmp_path}/folder/file.txt"
        storage.write_text(url, "text")
        assert storage.read_text(url) == "text"
        assert storage.children(f"{scheme}://{tmp_path}/folder") == ["file.txt"]
        storage.remove(url)
        assert not storage.exists(url)


def test_a_lost_request_has_not_happened_and_a_lost_answer_has(tmp_path: Path) -> None:
    faults = Faults(lose_request=1.0)
    with faulty_storage(faults) as scheme:
        with pytest.raises(StorageError, match="Input/output error"):
            storage.write_text(f"{scheme}://{tmp_path}/request", "text")
        faults.lose_request, faults.lose_answer = 0.0, 1.0
        with pytest.raises(StorageError, match="Input/output error"):
            storage.write_text(f"{scheme}://{tmp_path}/answer", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["answer"]


def test_only_what_may_be_hit_fails(tmp_path: Path) -> None:
    faults = Faults(lose_request=1.0, is_hit=lambda operation, path: operation == "read")
    with faulty_storage(faults) as scheme:
        storage.write_text(f"{scheme}://{tmp_path}/file", "text")
        with pytest.raises(StorageError):
            storage.read_text(f"{scheme}://{tmp_path}/file")
    assert faults.operations["read"] == 1


def test_the_same_seed_gives_the_same_faults(tmp_path: Path) -> None:
    def failures(seed: int) -> list[int]:
        failed: list[int] = []
        with faulty_storage(Faults(seed=seed, lose_request=0.3)) as scheme:
            for index in range(30):
                try:
                    storage.exists(f"{scheme}://{tmp_path}/{index}")
                except StorageError:
                    failed.append(index)
        return failed

    assert failures(1) == failures(1) != failures(2)
