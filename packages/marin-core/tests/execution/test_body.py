"""What an attempt does with its output: staged folders, declared outputs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from marin import storage
from marin.cluster.connect import connect, use_cluster
from marin.execution.body import STAGING_FOLDER, Body, staging_path
from marin.execution.executor import THIS_OUTPUT_PATH, Executor, ExecutorStep, ExperimentFailed
from marin.execution.status import StepStatus, read_log
from marin.resources.config import ResourceConfig
from marin.storage.testing import Faults, faulty_storage


@dataclass(frozen=True)
class C:
    names: tuple[str, ...] = ("a.txt", "data/b.txt")
    output_path: str = THIS_OUTPUT_PATH


def write(config: C) -> None:
    for name in config.names:
        storage.write_text(storage.join(config.output_path, name), name)


def still_owned() -> None:
    pass


@pytest.fixture(params=["local", "memory", "faulty"])
def prefix(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "faulty":
        with faulty_storage(Faults()) as scheme:
            yield f"{scheme}://{tmp_path}/prefix"
    else:
        yield f"{'memory://' if request.param == 'memory' else ''}{tmp_path}/prefix"


def own_files(output_path: str) -> list[str]:
    return [name for name in storage.children(output_path) if not name.startswith(".executor")]


def staged(function: Callable[[C], Any], **options: Any) -> ExecutorStep[Any]:
    return ExecutorStep("step", function, C(), staged=True, **options)


class TestStaged:
    def test_the_output_appears_at_the_end(self, prefix: str) -> None:
        seen: list[tuple[str, list[str]]] = []

        def look(config: C) -> None:
            write(config)
            output_path = config.output_path.partition(f"/{STAGING_FOLDER}/")[0]
            seen.append((config.output_path, own_files(output_path)))

        step = staged(look)
        output = Executor(prefix).run([step])[step]
        [(written_to, in_output)] = seen
        assert written_to.startswith(f"{output}/{STAGING_FOLDER}/")
        assert in_output == []
        assert own_files(output) == ["a.txt", "data"]
        assert storage.read_text(f"{output}/data/b.txt") == "data/b.txt"
        assert STAGING_FOLDER not in storage.children(output)

    def test_a_failure_leaves_nothing_in_the_output(self, prefix: str) -> None:
        def fail(config: C) -> None:
            write(config)
            raise ValueError("half of it")

        executor, step = Executor(prefix), staged(fail)
        with pytest.raises(ExperimentFailed, match="half of it"):
            executor.run([step])
        assert own_files(executor.output_paths[step]) == []
        # The next attempt does not find what this one wrote, and removes it.
        again = staged(write)
        output = Executor(prefix).run([again])[again]
        assert own_files(output) == ["a.txt", "data"]
        assert STAGING_FOLDER not in storage.children(output)

    def test_what_a_killed_attempt_has_moved_is_removed(self, prefix: str) -> None:
        output = f"{prefix}/output"
        staging = staging_path(output, "attempt")
        for left in (f"{output}/left.txt", f"{staging_path(output, 'killed')}/b.txt", f"{output}/.executor_info"):
            storage.write_text(left, "left")
        config = C(output_path=staging)
        Body(function=write, config=config, output_path=output, staging_path=staging, outputs=()).run(still_owned)
        assert storage.children(output) == [".executor_info", "a.txt", "data"]

    def test_an_attempt_that_lost_its_step_moves_nothing(self, prefix: str) -> None:
        output = f"{prefix}/output"
        staging = staging_path(output, "attempt")

        def lost() -> None:
            raise InterruptedError("another attempt has the step")

        body = Body(function=write, config=C(output_path=staging), output_path=output, staging_path=staging, outputs=())
        with pytest.raises(InterruptedError):
            body.run(lost)
        assert storage.children(output) == [STAGING_FOLDER]


class TestDeclaredOutputs:
    @pytest.mark.parametrize("outputs", [("a.txt",), ("data",), ("data/*.txt", "a.*"), ("**/b.txt",)])
    @pytest.mark.parametrize("is_staged", [False, True])
    def test_all_there(self, prefix: str, outputs: tuple[str, ...], is_staged: bool) -> None:
        step = ExecutorStep("step", write, C(), outputs=outputs, staged=is_staged)
        output = Executor(prefix).run([step])[step]
        assert read_log(output).status == StepStatus.SUCCESS

    @pytest.mark.parametrize("is_staged", [False, True])
    def test_missing_ones_are_named(self, prefix: str, is_staged: bool) -> None:
        step = ExecutorStep("step", write, C(), outputs=("a.txt", "c.txt", "data/*.json"), staged=is_staged)
        executor = Executor(prefix)
        with pytest.raises(ExperimentFailed, match=r"without its declared outputs c\.txt, data/\*\.json"):
            executor.run([step])
        assert read_log(executor.output_paths[step]).status == StepStatus.FAILED


def test_a_staged_step_as_a_job(tmp_path: Path) -> None:
    step = staged(write, outputs=("data/*.txt",), resources=ResourceConfig())
    with connect("local") as cluster, use_cluster(cluster):
        output = Executor(str(tmp_path / "prefix")).run([step])[step]
    assert own_files(output) == ["a.txt", "data"]
    assert read_log(output).status == StepStatus.SUCCESS
