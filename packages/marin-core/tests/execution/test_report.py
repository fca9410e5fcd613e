from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from marin.execution.executor import Executor, ExecutorStep, ExperimentFailed, versioned
from marin.execution.progress import report_progress
from marin.execution.report import LineReport, LiveReport, Report, failure_details, summary


def fail(config: Any) -> None:
    raise ValueError("bad learning rate")


def experiment() -> list[ExecutorStep[Any]]:
    def work(config: Any) -> None:
        report_progress(1_000, 2_000)

    broken = ExecutorStep("broken", fail, None)
    return [ExecutorStep("good[x]", work, None), ExecutorStep("blocked", work, {"a": broken})]


def run(prefix: Path, report: Report, steps: list[ExecutorStep[Any]], **options: Any) -> str:
    """The summary of a run, without its time."""
    executor = Executor(str(prefix), observer=report)
    plan = executor.plan(steps)
    with report:
        report.planned(plan)
        result = executor.execute(plan, max_concurrent=1, **options)
    return summary(result, 1.26).replace(" in 1.3 s", "")


def test_lines_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(tmp_path / "out", LineReport(clock=iter([0.0, 11.0, 20.0]).__next__), experiment()) == (
        "3 steps: 1 run, 1 failed, 1 not run because of failures"
    )
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert lines[0] == "3 steps: 3 to run, 0 cached"
    assert lines[1].startswith("run    good[x] -> out/good[x]-")
    assert lines[2] == "       good[x]: 1,000 of 2,000 documents"
    assert lines[3].startswith("done   good[x] in ")
    assert lines[4].startswith("run    broken -> out/broken-")
    assert lines[5].startswith("failed broken after ")
    assert lines[5].endswith(" s: ValueError: bad learning rate")
    assert len(lines) == 6


def test_progress_lines_are_rare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def work(config: Any) -> None:
        for done in range(1, 31):
            report_progress(done)

    seconds = iter(range(100))
    run(tmp_path, LineReport(clock=lambda: float(next(seconds))), [ExecutorStep("work", work, None)])
    progress = [line.strip() for line in capsys.readouterr().err.splitlines() if line.startswith(" ")]
    assert progress == ["work: 10 documents", "work: 20 documents", "work: 30 documents"]


def test_bars_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, LiveReport(), experiment())
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "done   good[x] in " in printed.err
    assert "failed broken after " in printed.err
    assert "steps" in printed.err


def test_late_progress_of_a_thread_that_outlives_its_step_is_dropped(tmp_path: Path) -> None:
    reports: list[Callable[[], None]] = []

    def work(config: Any) -> None:
        import contextvars

        context = contextvars.copy_context()
        reports.append(lambda: context.run(report_progress, 5, 5))

    report = LiveReport()
    run(tmp_path, report, [ExecutorStep("work", work, None)])
    reports[0]()


def test_nothing_is_shown_of_a_cached_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = [ExecutorStep(f"s{index}", None, {"v": versioned(index)}) for index in range(6)]
    assert run(tmp_path, LineReport(), good) == "6 steps: 6 run"
    capsys.readouterr()
    for report in (LineReport(), LiveReport()):
        assert run(tmp_path, report, good) == "all 6 steps are cached"
    assert run(tmp_path, LineReport(), good[:1]) == "the step is cached"
    printed = capsys.readouterr()
    assert printed.out + printed.err == ""


def test_summaries(tmp_path: Path) -> None:
    first = ExecutorStep("first", None, None)
    second = ExecutorStep("second", None, {"a": first})
    assert run(tmp_path, LineReport(), [second]) == "2 steps: 2 run"
    third = ExecutorStep("third", None, {"a": second})
    assert run(tmp_path, LineReport(), [third]) == "3 steps: 1 run, 2 cached"
    stopped = [ExecutorStep("broken", fail, None), ExecutorStep("ready", None, None)]
    assert run(tmp_path, LineReport(), stopped, fail_fast=True) == "2 steps: 1 failed, 1 not started"
    pseudo = ExecutorStep("evaluation", None, {"a": (ExecutorStep("training", None, None) / "x").nonblocking()})
    assert run(tmp_path, LineReport(), [pseudo]) == "2 steps: 1 run, 1 not needed"


def test_details_of_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    executor = Executor(str(tmp_path / "out"))
    with pytest.raises(ExperimentFailed) as caught:
        executor.run(experiment())
    [error] = caught.value.exceptions
    assert failure_details(error).splitlines() == [
        "error: step broken failed: ValueError: bad learning rate",
        f"  raised at: {__file__}:{fail.__code__.co_firstlineno + 1}",
        f"  traceback: {error.output_path.removeprefix(f'{tmp_path}/')}/.executor_traceback",
        "  not run because of it: blocked",
    ]
