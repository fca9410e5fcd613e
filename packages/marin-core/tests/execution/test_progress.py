from typing import Any

from marin.execution.errors import StepFailed
from marin.execution.executor import Executor, ExecutorStep
from marin.execution.graph import Node
from marin.execution.plan import Plan
from marin.execution.progress import report_progress


class Recorder:
    """Notes the progress that an executor passes on."""

    def __init__(self) -> None:
        self.progress: list[tuple[str, int, int | None, str]] = []

    def planned(self, plan: Plan) -> None:
        pass

    def step_started(self, node: Node) -> None:
        pass

    def step_progress(self, node: Node, done: int, total: int | None, unit: str) -> None:
        self.progress.append((node.name, done, total, unit))

    def step_succeeded(self, node: Node, seconds: float) -> None:
        pass

    def step_failed(self, node: Node, error: StepFailed, seconds: float) -> None:
        pass


def test_progress_reaches_the_observer_with_its_step(tmp_path: Any) -> None:
    def first(config: Any) -> None:
        report_progress(1, 3)
        report_progress(2, unit="shards")

    recorder = Recorder()
    second = ExecutorStep("second", lambda config: report_progress(7, 7), {"a": ExecutorStep("first", first, None)})
    Executor(str(tmp_path), observer=recorder).run([second])
    assert recorder.progress == [
        ("first", 1, 3, "documents"),
        ("first", 2, None, "shards"),
        ("second", 7, 7, "documents"),
    ]


def test_outside_a_step_nothing_happens() -> None:
    report_progress(1, 2)
