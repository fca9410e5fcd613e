import logging
import os
import signal
import threading
from pathlib import Path

import pytest

from marin.classifiers.errors import ClassificationError, InputError
from marin.cluster.connect import use_cluster
from marin.cluster.errors import UnschedulableError
from marin.execution.progress import progress_sink
from marin.processing.classification.engine import run_over_files, stop_point
from marin.resources.config import ResourceConfig
from marin.storage import open_atomic

RESOURCES = ResourceConfig(cpu=1, ram="1g", disk="1g")


def over_files(work, jobs, folder: Path, **values):
    options = {"name": "test", "outputs": [], "max_workers": 2, "resources": RESOURCES, **values}
    return run_over_files(work, jobs, output_path=str(folder), **options)


@pytest.mark.usefixtures("local_cluster")
class TestLocal:
    def test_results_come_in_the_order_of_the_jobs(self, tmp_path: Path) -> None:
        assert over_files(lambda number: number * 2, list(range(20)), tmp_path) == [2 * n for n in range(20)]
        assert over_files(lambda number: number, [], tmp_path) == []
        assert os.listdir(tmp_path) == []

    def test_an_error_of_the_user_is_raised_once_all_jobs_were_tried(self, tmp_path: Path) -> None:
        tried: list[int] = []

        def work(number: int) -> int:
            tried.append(number)
            if number in (2, 4):
                raise InputError(f"job {number} is wrong")
            return number

        with pytest.raises(InputError, match="job 2 is wrong"):
            over_files(work, list(range(6)), tmp_path)
        assert sorted(tried) == list(range(6))

    def test_another_error_is_tried_three_times_and_named(self, tmp_path: Path) -> None:
        tried: list[int] = []

        def work(number: int) -> int:
            tried.append(number)
            raise OSError("the disk is on fire")

        with pytest.raises(
            ClassificationError, match=r"Shard 0 failed 3 times .*OSError: the disk is on fire; finished"
        ):
            over_files(work, [7], tmp_path)
        assert tried == [7, 7, 7]
        assert os.listdir(tmp_path) == []

    def test_an_error_that_passes_is_survived(self, tmp_path: Path) -> None:
        tried: list[int] = []

        def work(number: int) -> int:
            tried.append(number)
            if len(tried) == 1:
                raise OSError("for a moment")
            return number

        assert over_files(work, [7], tmp_path) == [7]

    def test_an_interrupted_run_ends_its_jobs_and_leaves_nothing_half_written(self, tmp_path: Path) -> None:
        outputs = [str(tmp_path / f"{number}.jsonl.gz") for number in range(3)]
        writing = threading.Event()

        def work(output: str) -> None:
            with open_atomic(output) as stream:
                while True:
                    stream.write(b"row")
                    writing.set()
                    stop_point()

        def interrupt(done: int, total: int | None, unit: str) -> None:
            writing.wait()
            raise KeyboardInterrupt

        token = progress_sink.set(interrupt)
        try:
            with pytest.raises(KeyboardInterrupt):
                over_files(work, outputs, tmp_path, outputs=outputs)
        finally:
            progress_sink.reset(token)
        assert os.listdir(tmp_path) == []

    def test_the_logging_of_the_process_is_left_alone(self, tmp_path: Path) -> None:
        root = logging.getLogger()
        handler = logging.StreamHandler()
        handler.setLevel(logging.ERROR)
        root.addHandler(handler)
        zephyr_level = logging.getLogger("zephyr").level
        before = (list(root.handlers), root.level)
        try:
            over_files(lambda number: number, [1, 2], tmp_path)
            assert (list(root.handlers), root.level) == before
            assert handler.level == logging.ERROR
            assert logging.getLogger("zephyr").level == zephyr_level
        finally:
            root.removeHandler(handler)


@pytest.mark.cluster
class TestIris:
    def test_a_killed_worker_costs_its_file_and_nothing_else(self, iris_cluster, tmp_path: Path) -> None:
        killed = tmp_path / "killed"

        def work(number: int) -> int:
            with open(tmp_path / f"tried-{number}", "a") as tries:
                tries.write("x")
            with open_atomic(str(tmp_path / "out" / f"{number}.jsonl.gz")) as stream:
                stream.write(b"row")
                stream.flush()
                if number == 1 and not killed.exists():
                    killed.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
            return number

        outputs = [str(tmp_path / "out" / f"{number}.jsonl.gz") for number in range(4)]
        with use_cluster(iris_cluster):
            results = over_files(work, [0, 1, 2, 3], tmp_path / "out", outputs=outputs, heartbeat_timeout=12.0)
        assert results == [0, 1, 2, 3]
        assert sorted(os.listdir(tmp_path / "out")) == [f"{number}.jsonl.gz" for number in range(4)]
        assert {number: (tmp_path / f"tried-{number}").read_text() for number in range(4)} == {
            0: "x",
            1: "xx",
            2: "x",
            3: "x",
        }

    def test_workers_that_no_machine_can_hold(self, iris_cluster, tmp_path: Path) -> None:
        with (
            use_cluster(iris_cluster),
            pytest.raises(UnschedulableError, match=r"the cluster cannot hold the workers: .*cpu: need 900000"),
        ):
            over_files(str, [1], tmp_path / "out", resources=ResourceConfig(cpu=900))
