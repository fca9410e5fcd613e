"""Say what running an experiment script would do, and run nothing."""

import click

from marin.cli.output import json_option, print_json
from marin.errors import UsageError
from marin.execution.main import CapturedPlans, capture_plans
from marin.execution.report import print_plan
from marin.execution.script import run_script


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@json_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def plan(file: str, arguments: tuple[str, ...], as_json: bool) -> None:
    """Say what running the experiment script FILE would do, step by step, and run nothing.

    ARGUMENTS are those of the script. Exit status: 0, 1 if the script fails, 2 if the experiment is wrong.
    """
    captured = _plans_of_script(file, arguments)
    if as_json or any(config.json for config in captured.configs):
        print_json([step.to_json() for one in captured.plans for step in one.steps])
        return
    for one in captured.plans:
        print_plan(one)


def _plans_of_script(file: str, arguments: tuple[str, ...]) -> CapturedPlans:
    with capture_plans() as captured:
        run_script(file, arguments)
    if not captured.plans:
        raise UsageError(f"{file} ended without calling executor_main, so there is nothing to plan")
    return captured
