"""Say how far the steps of an experiment are."""

import os
import sys
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import click

from marin import storage
from marin.cli.output import json_option, print_json, print_table
from marin.errors import UsageError
from marin.execution.main import default_prefix
from marin.execution.records import INFO_FILE
from marin.execution.report import shown_path
from marin.execution.status import StatusEvent, StepStatus, for_each, read_events, read_status


@dataclass(frozen=True, kw_only=True, slots=True)
class _StepReport:
    step: str
    status: str | None
    finished: str | None
    seconds: float | None
    output_path: str
    error: str | None


@click.command
@json_option
@click.argument("path", required=False)
def status(path: str | None, as_json: bool) -> None:
    """Say how far the steps of an experiment are.

    PATH is the output of a step, the record of an experiment (.json), or a prefix with its experiments; by default
    MARIN_PREFIX, else ./outputs. Exit status: 0, 1 if a step has failed, 2 if nothing is known at PATH.
    """
    outputs = _outputs_at(storage.absolute(path) if path else default_prefix())
    paths = list(outputs)
    reports = for_each(lambda output_path: _report(outputs[output_path], output_path), paths, at=paths)
    if as_json:
        print_json([asdict(report) for report in reports])
    else:
        print_table(["step", "status", "finished", "seconds", "output path", "error"], [_row(each) for each in reports])
    if any(report.status in (StepStatus.FAILED, StepStatus.DEP_FAILED) for report in reports):
        sys.exit(1)


def _outputs_at(path: str) -> dict[str, str]:
    """Names of steps by output path."""
    if path.endswith(".json"):
        return _outputs_of_experiment(path)
    if storage.exists(storage.join(path, INFO_FILE)):
        return {path: str(storage.read_json(storage.join(path, INFO_FILE))["name"])}
    if read_status(path) is not None:
        return {path: os.path.basename(path)}
    records = storage.expand(storage.join(path, "experiments", "*.json"))
    if not records:
        raise UsageError(
            f"nothing is known at {path}: it is neither the output of a step nor a prefix with experiments/*.json; "
            "say marin status PATH, or set MARIN_PREFIX"
        )
    return {output: name for record in records for output, name in _outputs_of_experiment(record).items()}


def _outputs_of_experiment(path: str) -> dict[str, str]:
    record: Any = storage.read_json(path)
    try:
        return {str(step["output_path"]): str(step["name"]) for step in record["steps"]}
    except (KeyError, TypeError) as error:
        raise UsageError(f"{path} is not the record of an experiment: it has no steps with output paths") from error


def _report(name: str, output_path: str) -> _StepReport:
    current = read_status(output_path)
    events = read_events(output_path)
    last = events[-1] if events else None
    has_ended = current not in (None, StepStatus.RUNNING, StepStatus.WAITING)
    return _StepReport(
        step=name,
        status=current.value if current else None,
        finished=last.date if last and has_ended else None,
        seconds=_seconds(events) if has_ended else None,
        output_path=output_path,
        error=last.message if last and current and current.is_failure else None,
    )


def _seconds(events: list[StatusEvent]) -> float | None:
    """Seconds from the last start to the last event; None where the log does not say."""
    starts = [event for event in events if event.status == StepStatus.RUNNING]
    if not starts:
        return None
    try:
        return (datetime.fromisoformat(events[-1].date) - datetime.fromisoformat(starts[-1].date)).total_seconds()
    except (ValueError, TypeError):
        # Logs of other programs have other dates, or none.
        return None


def _row(report: _StepReport) -> tuple[str | None, ...]:
    return (
        report.step,
        report.status,
        report.finished[:19].replace("T", " ") if report.finished else None,
        f"{report.seconds:.1f}" if report.seconds is not None else None,
        shown_path(report.output_path),
        report.error.splitlines()[0] if report.error else None,
    )
