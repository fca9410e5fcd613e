"""Run a script, or a command as a job, on a cluster."""

import contextlib

import click
from fray.types import Entrypoint

from marin.cluster.connect import Cluster, connect, current_cluster, use_cluster
from marin.cluster.errors import JobFailed
from marin.cluster.jobs import JobSpec
from marin.execution.script import run_script


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    short_help="Run a script, or a command as a job, on a cluster.",
)
@click.option(
    "--cluster",
    metavar="URL",
    help="local, iris-local, iris://HOST:PORT, or what a plug-in serves. Default: MARIN_CLUSTER, else local.",
)
@click.argument("target")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(cluster: str | None, target: str, arguments: tuple[str, ...]) -> None:
    r"""Run a script, or a command as a job, on a cluster.

    \b
    marin run experiment.py [ARGUMENTS...]     the script runs here; its jobs and steps run on the cluster
    marin run -- COMMAND [ARGUMENTS...]        the command runs there, as one job; its output is shown here

    Options of `marin run` come before the script. The exit status is that of the script or the command. Ctrl-C stops
    the job, never the cluster.
    """
    with contextlib.ExitStack() as stack:
        if cluster is not None:
            stack.enter_context(use_cluster(stack.enter_context(connect(cluster))))
        if target.endswith(".py"):
            run_script(target, arguments)
        else:
            _run_command(current_cluster(), (target, *arguments))


def _run_command(cluster: Cluster, command: tuple[str, ...]) -> None:
    name = command[0].rsplit("/", 1)[-1]
    job = cluster.submit(JobSpec(name=name, entrypoint=Entrypoint.from_binary(command[0], command[1:])))
    try:
        for line in job.follow_logs():
            click.echo(line)
        job.wait()
    except JobFailed as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(error.exit_status or error.exit_code) from error
    except KeyboardInterrupt:
        job.terminate()
        raise
