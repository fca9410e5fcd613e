"""List the installed plug-ins, and what is missing to use them."""

import click

from marin.cli.output import json_option, print_json, print_table
from marin.plugins.errors import PluginError
from marin.plugins.registry import PluginInfo, list_plugins


@click.command
@click.option("--group", metavar="GROUP", help="Only this group, such as marin.classifiers.")
@json_option
def plugins(group: str | None, as_json: bool) -> None:
    """List the installed plug-ins, and what is missing to use them.

    The last column says `ready`, the command that installs what is missing, or what is wrong. Nothing of a plug-in is
    imported.
    """
    found = [(plugin, plugin.problem()) for plugin in list_plugins(group)]
    if as_json:
        print_json([_as_json(plugin, problem) for plugin, problem in found])
        return
    print_table(
        ["group", "name", "distribution", "version", "state"],
        [(p.group, p.name, p.distribution, p.version, _state(problem)) for p, problem in found],
    )


def _state(problem: PluginError | None) -> str:
    return "ready" if problem is None else problem.install_command or str(problem)


def _as_json(plugin: PluginInfo, problem: PluginError | None) -> dict[str, object]:
    return {
        "group": plugin.group,
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "value": plugin.value,
        "extras": list(plugin.extras),
        "ready": problem is None,
        "problem": None if problem is None else str(problem),
        "install_command": None if problem is None else problem.install_command,
    }
