"""Say how far the steps of an experiment are, and mend what a run has left."""

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import click

from marin import storage
from marin.cli.output import json_option, print_json, print_table
from marin.errors import MarinError, UsageError
from marin.execution.attempts import TRACEBACK_FILE
from marin.execution.main import default_prefix
from marin.execution.records import INFO_FILE, read_step_info
from marin.execution.report import shown_path
from marin.execution.status import (
    STATUS_FILE,
    StatusEvent,
    StatusLog,
    StepStatus,
    for_each,
    read_log,
    seconds_between,
    write_event,
)
from marin.execution.watch import FOREIGN_LOCK_FILE, Watch


class _StatusGroup(click.Group):
    """`marin status PATH` is short for `marin status list PATH`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = [arg for arg in args if not arg.startswith("-")]
        if not set(args) & {"--help", "-h"} and (not words or words[0] not in self.commands):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_StatusGroup)
def status() -> None:
    """Say how far the steps of an experiment are, and mend what a run has left.

    `marin status [PATH]` is short for `marin status list [PATH]`.
    """


@dataclass(frozen=True, kw_only=True, slots=True)
class _StepReport:
    step: str
    status: str | None
    finished: str | None
    seconds: float | None
    attempts: int
    output_path: str
    error: str | None


@status.command("list")
@json_option
@click.option("--serve", is_flag=True, help="Show the experiment as a live page in the browser, on this machine only.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the page; by default any free one.")
@click.argument("path", required=False)
def list_steps(path: str | None, serve: bool, port: int, as_json: bool) -> None:
    """Say how far the steps of an experiment are.

    PATH is the output of a step, the record of an experiment (.json), or a prefix with its experiments; by default
    MARIN_PREFIX, else ./outputs. Exit status: 0, 1 if a step has failed, 2 if nothing is known at PATH.
    """
    place = storage.absolute(path) if path else default_prefix()
    if serve:
        _serve(place, port)
        return
    outputs = _outputs_at(place)
    paths = list(outputs)
    reports = for_each(lambda output_path: _report(outputs[output_path], output_path), paths, at=paths)
    if as_json:
        print_json([asdict(report) for report in reports])
    else:
        print_table(["step", "status", "finished", "seconds", "output path", "error"], [_row(each) for each in reports])
    if any(report.status in (StepStatus.FAILED, StepStatus.DEP_FAILED) for report in reports):
        sys.exit(1)


def _serve(place: str, port: int) -> None:
    from marin.execution.experiment_loader import ExperimentLoader
    from marin.execution.page.server import PageServer

    record = place if place.endswith(".json") else _newest(_experiments_at(place))
    loader = ExperimentLoader(record)
    loader.load(live=True)  # what is wrong with the record is said here, and not in the browser
    with PageServer(lambda: loader.load(live=True), port) as server:
        click.echo(f"{shown_path(record)} is at {server.url} until Ctrl-C")
        server.serve_forever()


def _newest(paths: list[str]) -> str:
    return max(paths, key=lambda path: storage.modified(path) or 0.0)


@status.command
@json_option
@click.argument("path")
def show(path: str, as_json: bool) -> None:
    """Show all that is known of the step whose output is PATH: its record, attempts, owner and error.

    Exit status: 0, or 2 if nothing is known at PATH.
    """
    output_path = storage.absolute(path)
    log = read_log(output_path)
    record = _record_at(output_path)
    if log.file_version is None and record is None:
        raise UsageError(f"nothing is known at {output_path}: it is not the output of a step")
    owner = Watch().owner(output_path, log)
    if as_json:
        events = [{key: value for key, value in asdict(event).items() if value is not None} for event in log.events]
        print_json({"status": log.status, "owner": owner, "events": events, "record": record})
        return
    _print_step(output_path, log, record, owner)


@status.command
@click.option("--force", is_flag=True, help="Also if the owner seems to be alive; what it does will not count.")
@click.argument("path")
def unlock(path: str, force: bool) -> None:
    """Free the step whose output is PATH from an owner that will not come back.

    It is seldom needed: a dead process on this machine is noticed at once, and one elsewhere after its lease. The
    owner, if it lives after all, cannot commit its result any more. Exit status: 0, 1 if the owner seems to be alive,
    2 if nothing is known at PATH.
    """
    output_path = storage.absolute(path)
    log = _log_at(output_path)
    if log.status != StepStatus.RUNNING and not log.is_unreadable:
        click.echo(f"nothing to unlock: the step is {log.status}")
        return
    owner = Watch().owner(output_path, log)
    if owner is not None and not force:
        raise MarinError(f"{owner} runs the step at {output_path}; end it, or say --force to take its lease away")
    write_event(output_path, log, StatusEvent.now(StepStatus.CANCELLED, message="unlocked", epoch=log.epoch or None))
    storage.remove(storage.join(output_path, FOREIGN_LOCK_FILE))
    click.echo(f"unlocked: {shown_path(output_path)} runs again with the next run that needs it")


@status.command
@click.argument("paths", nargs=-1, required=True)
def retry(paths: Sequence[str]) -> None:
    """Have steps run again with the next run that needs them.

    PATHS are outputs of steps, whatever their status, or records of experiments (.json) and prefixes, of which the
    steps that have failed are meant. What lies in the outputs stays there. Exit status: 0, 1 if a step is running, 2 if
    nothing is known at a path.
    """
    for path in paths:
        place = storage.absolute(path)
        outputs = _outputs_at(place)
        chosen = list(outputs) if list(outputs) == [place] else _failed(list(outputs))
        for output_path in chosen:
            log = read_log(output_path)
            owner = Watch().owner(output_path, log)
            if owner is not None:
                raise MarinError(f"{owner} runs the step at {output_path}, so it cannot be marked to run again")
            event = StatusEvent.now(StepStatus.WAITING, message="to run again", epoch=log.epoch or None)
            write_event(output_path, log, event)
            click.echo(f"runs again: {outputs[output_path]} ({shown_path(output_path)})")
        if not chosen:
            click.echo(f"no step has failed at {shown_path(place)}")


def _failed(output_paths: list[str]) -> list[str]:
    logs = for_each(read_log, output_paths, at=output_paths)
    return [path for path, log in zip(output_paths, logs, strict=True) if log.status and log.status.is_failure]


def _outputs_at(path: str) -> dict[str, str]:
    """Names of steps by output path."""
    if path.endswith(".json"):
        return _outputs_of_experiment(path)
    if storage.exists(storage.join(path, INFO_FILE)):
        return {path: str(read_step_info(path)["name"])}
    if read_log(path).file_version is not None:
        return {path: os.path.basename(path)}
    return {output: name for record in _experiments_at(path) for output, name in _outputs_of_experiment(record).items()}


def _experiments_at(prefix: str) -> list[str]:
    """Records of the experiments under `prefix`, sorted by name.

    Raises:
        UsageError: there is none.
    """
    records = storage.expand(storage.join(prefix, "experiments", "*.json"))
    if not records:
        raise UsageError(
            f"nothing is known at {prefix}: it is neither the output of a step nor a prefix with experiments/*.json; "
            "say marin status PATH, or set MARIN_PREFIX"
        )
    return records


def _outputs_of_experiment(path: str) -> dict[str, str]:
    """Names of the steps in the record of an experiment, by output path.

    Raises:
        StorageError: the record cannot be read.
        UsageError: it is no such record.
    """
    record: Any = storage.read_json(path)
    try:
        return {str(step["output_path"]): str(step["name"]) for step in record["steps"]}
    except (KeyError, TypeError) as error:
        raise UsageError(f"{path} is not the record of an experiment: it has no steps with output paths") from error


def _log_at(output_path: str) -> StatusLog:
    log = read_log(output_path)
    if log.file_version is None:
        raise UsageError(f"nothing is known at {output_path}: there is no {STATUS_FILE}")
    return log


def _record_at(output_path: str) -> dict[str, Any] | None:
    if not storage.exists(storage.join(output_path, INFO_FILE)):
        return None
    return read_step_info(output_path)


def _report(name: str, output_path: str) -> _StepReport:
    log = read_log(output_path)
    current, events = log.status, log.events
    last = events[-1] if events else None
    has_ended = current not in (None, StepStatus.RUNNING, StepStatus.WAITING)
    return _StepReport(
        step=name,
        status=current.value if current else None,
        finished=last.date if last and has_ended else None,
        seconds=_seconds_of_last_attempt(events) if has_ended else None,
        attempts=log.epoch,
        output_path=output_path,
        error=last.message if last and current and current.is_failure else None,
    )


def _seconds_of_last_attempt(events: list[StatusEvent]) -> float | None:
    """Seconds from the last start to the last event; None where the log does not say."""
    starts = [event for event in events if event.status == StepStatus.RUNNING]
    if not starts:
        return None
    return seconds_between(starts[-1].date, events[-1].date)


def _row(report: _StepReport) -> tuple[str | None, ...]:
    return (
        report.step,
        report.status,
        _readable_date(report.finished),
        f"{report.seconds:.1f}" if report.seconds is not None else None,
        shown_path(report.output_path),
        report.error.splitlines()[0] if report.error else None,
    )


def _readable_date(date: str | None) -> str | None:
    return date[:19].replace("T", " ") if date else None


_SHOWN_FIELDS = ("name", "description", "fn_name", "started", "user", "host", "command", "git_commit", "git_dirty")


def _print_step(output_path: str, log: StatusLog, record: dict[str, Any] | None, owner: str | None) -> None:
    rows: list[tuple[str, object]] = [("status", log.status or "none"), ("output", shown_path(output_path))]
    if owner:
        rows.append(("run by", owner))
    rows += [(key, record[key]) for key in _SHOWN_FIELDS if record and record.get(key) is not None]
    if record:
        dependencies: list[str] = record.get("dependencies") or []
        rows += [("depends on", shown_path(path)) for path in dependencies]
        rows += [(f"config {key}", value) for key, value in _flat(record.get("config"))]
    traceback = storage.join(output_path, TRACEBACK_FILE)
    if log.status == StepStatus.FAILED and storage.exists(traceback):
        rows.append(("traceback", shown_path(traceback)))
    print_table(["field", "value"], rows)
    click.echo()
    print_table(
        ["attempt", "date", "status", "job", "message"],
        [(event.epoch, _readable_date(event.date), event.status, event.job, event.message) for event in log.events],
    )


def _flat(config: Any) -> list[tuple[str, Any]]:
    return list(cast("dict[str, Any]", config).items()) if isinstance(config, dict) else [("", config)]
