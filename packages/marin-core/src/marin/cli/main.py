"""The entry of the `marin` command."""

import logging
import os
import platform
import sys
from importlib import metadata

import click

from marin.cli.group import PluginGroup
from marin.errors import INTERRUPTED

_EPILOG = """\b
Exit codes:
  0    done
  1    the work failed
  2    wrong usage or input
  3    something that is needed is not installed
  4    the cluster cannot be reached or cannot hold the job
  130  interrupted
"""


def _print_versions(ctx: click.Context, _parameter: click.Parameter, asked: bool) -> None:
    if not asked or ctx.resilient_parsing:
        return
    installed = {dist.name: dist.version for dist in metadata.distributions() if dist.name.startswith("marin-")}
    for name in sorted(installed, key=lambda name: (name != "marin-core", name)):
        click.echo(f"{name} {installed[name]}")
    click.echo(f"python {platform.python_version()}")
    ctx.exit()


@click.group(cls=PluginGroup, epilog=_EPILOG)
@click.option("-v", "--verbose", is_flag=True, help="Show what is logged, and whole tracebacks.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_versions,
    help="Print the versions of the installed Marin packages.",
)
def cli(verbose: bool) -> None:
    """Run jobs and experiments on a cluster."""
    if verbose:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


def main() -> None:
    """Run the `marin` command with the arguments of this process, and exit."""
    try:
        cli(prog_name="marin")
    except SystemExit as error:
        if error.code != INTERRUPTED:
            raise
        # Threads of jobs may still run. Python's own way out stops them wherever they are, and aborts the process if
        # one of them is printing; all that had to be cleaned up was, on the way here.
        sys.stderr.flush()
        os._exit(INTERRUPTED)
