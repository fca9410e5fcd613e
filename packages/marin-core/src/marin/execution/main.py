"""`executor_main`: what an experiment script calls; it reads the command line, runs the steps and reports."""

import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Generator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, overload

import click

from marin import storage
from marin.cli.output import print_json
from marin.cluster.connect import connect, use_cluster
from marin.errors import INTERRUPTED, MarinError
from marin.execution.experiment import Executor, RunResult
from marin.execution.explain import explain
from marin.execution.lease import DEFAULT_LEASE_SECONDS
from marin.execution.plan import Plan
from marin.execution.report import (
    Report,
    failure_details,
    make_report,
    print_plan,
    result_json,
    shown_path,
    summary,
)
from marin.execution.steps import ExecutorStep, InputName

logger = logging.getLogger(__name__)

PREFIX_VARIABLE = "MARIN_PREFIX"
"""Environment variable with the folder or URL under which outputs lie."""

DEFAULT_PREFIX = "outputs"

Steps = Sequence["ExecutorStep[Any] | InputName"]


@dataclass(frozen=True)
class ExecutorMainConfig:
    """What the command line of an experiment script says."""

    prefix: str | None = None
    """Folder or URL under which outputs lie; by default `MARIN_PREFIX`, else `outputs`."""
    executor_info_base_path: str | None = None
    """Where records of runs lie; by default `<prefix>/experiments`."""
    dry_run: bool = False
    """Only print the plan."""
    force_run_failed: bool = True
    """Run steps again that failed in an earlier run."""
    run_only: Sequence[str] | None = None
    """Regular expressions; only steps whose names match, and what they need, are run."""
    max_concurrent: int | None = None
    """Steps that run at a time; by default 32 in this process, and jobs without limit."""
    fail_fast: bool = False
    """Start nothing more once a step has failed."""
    adopt: Sequence[str] = ()
    """Regular expressions; steps whose names match take an output that was made from another config."""
    allow_out_of_region: Sequence[str] = ()
    """Prefixes of URLs that a step may use from another region; it is recorded."""
    lease_seconds: float = DEFAULT_LEASE_SECONDS
    """How long this run may be silent before another one on another machine takes over its steps."""
    cluster: str | None = None
    """Address of the cluster, such as `iris-local`; by default the current one."""
    json: bool = False
    """Print the plan or the result as JSON."""


@dataclass(frozen=True, kw_only=True)
class CapturedPlans:
    """What a script would do, collected by `capture_plans`."""

    plans: list[Plan]
    configs: list[ExecutorMainConfig]


_capture: ContextVar[CapturedPlans | None] = ContextVar("marin_captured_plans", default=None)


@contextlib.contextmanager
def capture_plans() -> Generator[CapturedPlans]:
    """Within the block, `executor_main` only plans, prints nothing, and leaves its plans in what the block is given."""
    captured = CapturedPlans(plans=[], configs=[])
    token = _capture.set(captured)
    try:
        yield captured
    finally:
        _capture.reset(token)


def default_prefix() -> str:
    """Where outputs lie when nobody says: `MARIN_PREFIX`, else `outputs` under the working directory."""
    return storage.absolute(os.environ.get(PREFIX_VARIABLE) or DEFAULT_PREFIX)


@overload
def executor_main(steps: Steps, description: str | None = None, max_concurrent: int | None = None) -> None: ...


@overload
def executor_main(
    config: ExecutorMainConfig, steps: Steps, description: str | None = None, max_concurrent: int | None = None
) -> None: ...


def executor_main(*args: Any, **kwargs: Any) -> None:
    """Run the steps of an experiment, as the command line says; `--help` lists its options.

    Returns when all steps have succeeded. Otherwise it prints what went wrong and ends the process: with status 1 if
    steps failed, 2 if the experiment or the command line is wrong, 4 if the cluster cannot be reached, 130 if it was
    interrupted. A program that wants exceptions instead calls `Executor.run`.

    Args:
        *args: an `ExecutorMainConfig` in place of the command line, if wanted; then `steps`, `description` and
            `max_concurrent`, as below.
        **kwargs: `steps`: whose outputs are wanted. `description`: what the experiment is about, for its record.
            `max_concurrent`: steps that run at a time; it outweighs the command line.
    """
    config = kwargs.pop("config", None)
    if config is None and args and isinstance(args[0], ExecutorMainConfig):
        config, args = args[0], args[1:]
    try:
        _main(config or _parse_command_line(), *args, **kwargs)
    except MarinError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        click.echo("interrupted: steps that were running are marked CANCELLED and run again next time", err=True)
        sys.exit(INTERRUPTED)


def _main(
    config: ExecutorMainConfig, steps: Steps, description: str | None = None, max_concurrent: int | None = None
) -> None:
    started = time.monotonic()
    report = make_report()
    executor = Executor(
        config.prefix or default_prefix(),
        config.executor_info_base_path,
        description,
        observer=report,
        lease_seconds=config.lease_seconds,
    )
    plan = executor.plan(
        steps,
        run_only=config.run_only,
        force_run_failed=config.force_run_failed,
        adopt=config.adopt,
        allow_out_of_region=config.allow_out_of_region,
    )
    captured = _capture.get()
    if captured is not None:
        captured.plans.append(explain(plan))
        captured.configs.append(config)
    elif config.dry_run:
        _print_dry_run(explain(plan), config)
    else:
        result = _execute(executor, plan, report, config, max_concurrent or config.max_concurrent)
        _print_result(result, executor, config, seconds=time.monotonic() - started)


def _execute(
    executor: Executor, plan: Plan, report: Report, config: ExecutorMainConfig, max_concurrent: int | None
) -> RunResult:
    with contextlib.ExitStack() as stack:
        if config.cluster is not None and plan.to_run:
            stack.enter_context(use_cluster(stack.enter_context(connect(config.cluster))))
        stack.enter_context(report)
        report.planned(plan)
        try:
            return executor.execute(plan, max_concurrent=max_concurrent, fail_fast=config.fail_fast)
        finally:
            if plan.to_run and executor.executor_info_path is not None:
                _write_page(executor)


def _write_page(executor: Executor) -> None:
    try:
        click.echo(f"page   {shown_path(executor.write_page())}", err=True)
    except storage.StorageError as error:
        # What has run counts, with or without its page.
        logger.warning("the page of the experiment could not be written: %s", error)


def _print_dry_run(plan: Plan, config: ExecutorMainConfig) -> None:
    if config.json:
        print_json([step.to_json() for step in plan.steps])
    else:
        print_plan(plan)


def _print_result(result: RunResult, executor: Executor, config: ExecutorMainConfig, *, seconds: float) -> None:
    for error in result.outcome.failed.values():
        click.echo(failure_details(error), err=True)
    if config.json:
        print_json(result_json(result, experiment=executor.executor_info_path, seconds=seconds))
    else:
        click.echo(summary(result, seconds))
    if result.outcome.failed:
        sys.exit(1)


def _flag(name: str, *, default: bool, help_text: str) -> Any:
    """An option that is on by its bare name and takes `true` or `false`, with underscores or dashes."""
    spellings = dict.fromkeys([f"--{name}", f"--{name.replace('_', '-')}"])
    return click.option(
        *spellings,
        name,
        type=bool,
        is_flag=False,
        flag_value=True,
        default=default,
        help=help_text,
        metavar="[true|false]",
    )


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--prefix", help=f"Folder or URL for outputs; else {PREFIX_VARIABLE}, else ./{DEFAULT_PREFIX}.")
@click.option(
    "--executor_info_base_path",
    "--executor-info-base-path",
    help="Folder for records of runs; else PREFIX/experiments.",
)
@_flag("dry_run", default=False, help_text="Only print what would run.")
@_flag("force_run_failed", default=True, help_text="Run steps again that failed earlier; on unless set to false.")
@click.option(
    "--run_only",
    "--run-only",
    multiple=True,
    metavar="REGEX",
    help='Run only steps whose names match, and what they need; repeat it, or give a list as \'["a", "b"]\'.',
)
@click.option("--max_concurrent", "--max-concurrent", type=click.IntRange(min=1), help="Steps that run at a time.")
@_flag("fail_fast", default=False, help_text="Start nothing more once a step has failed.")
@click.option("--adopt", multiple=True, metavar="REGEX", help="Take outputs of these steps made from another config.")
@click.option(
    "--allow_out_of_region",
    "--allow-out-of-region",
    multiple=True,
    metavar="PREFIX",
    help="Let steps use URLs below PREFIX from another region; it is recorded.",
)
@click.option(
    "--lease_seconds",
    "--lease-seconds",
    type=click.FloatRange(min=1),
    default=DEFAULT_LEASE_SECONDS,
    help="Silence after which another machine may take over the steps of this run.",
)
@click.option("--cluster", metavar="URL", help="Where jobs run: local, iris-local, iris://HOST:PORT.")
@_flag("json", default=False, help_text="Print the plan or the result as JSON.")
def _command_line(run_only: tuple[str, ...], **options: Any) -> ExecutorMainConfig:
    """Run the steps of this experiment that have not succeeded yet."""
    patterns = [pattern for value in run_only for pattern in _patterns(value)]
    return ExecutorMainConfig(run_only=patterns if run_only else None, **options)


def _parse_command_line() -> ExecutorMainConfig:
    try:
        config: Any = _command_line.main(
            args=sys.argv[1:], prog_name=os.path.basename(sys.argv[0]), standalone_mode=False
        )
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    if not isinstance(config, ExecutorMainConfig):
        # `--help` has printed its text.
        sys.exit(0)
    return config


def _patterns(value: str) -> list[str]:
    """The regular expressions in one `--run_only`: a JSON list, a list without quotes, or one expression."""
    text = value.strip()
    if not (text.startswith("[") and text.endswith("]")):
        return [value]
    try:
        return [str(pattern) for pattern in json.loads(text)]
    except ValueError:
        return [pattern.strip().strip("'\"") for pattern in text[1:-1].split(",") if pattern.strip()]
