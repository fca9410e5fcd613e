"""The click group whose sub-commands are the plug-ins of `marin.commands`."""

import ast
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any

import click

from marin.errors import INTERRUPTED, MarinError
from marin.plugins.errors import PluginError
from marin.plugins.registry import PluginInfo, list_plugins, load_plugin, plugin_names

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMAND_GROUP = "marin.commands"
"""Entry-point group; each entry is a `click.Command`, and the name of the entry is its name."""


class PluginGroup(click.Group):
    """Sub-commands from entry points; a command is imported when it runs, not when it is listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the installed commands."""
        return plugin_names(COMMAND_GROUP)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command `cmd_name`, imported.

        Raises:
            PluginError: it is not installed or cannot be used; while a shell completes a line, None is returned.
        """
        try:
            return load_plugin(COMMAND_GROUP, cmd_name, kind=click.Command)
        except PluginError:
            if ctx.resilient_parsing:
                return None
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error that a user can cause becomes one line on standard error."""
        try:
            return super().invoke(ctx)
        except MarinError as error:
            if ctx.params.get("verbose"):
                traceback.print_exception(error)
            click.echo(f"error: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except EOFError as error:
            # A truncated file raises it; click would report that the user gave up.
            raise RuntimeError("a file or stream ended early") from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands with one line each, those of other distributions under their names."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for plugin in list_plugins(COMMAND_GROUP):
            title = "Commands" if plugin.distribution == "marin-core" else f"Commands of {plugin.distribution}"
            sections.setdefault(title, []).append((plugin.name, command_summary(plugin)))
        for title in sorted(sections):
            with formatter.section(title):
                formatter.write_dl(sections[title])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """The commands and options that begin with `incomplete`; no command is imported."""
        from click.shell_completion import CompletionItem

        commands = [
            CompletionItem(plugin.name, help=command_summary(plugin))
            for plugin in list_plugins(COMMAND_GROUP)
            if plugin.name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)


def command_summary(plugin: PluginInfo) -> str:
    """The first line of the command's docstring, else of its module's, read from the source; '' if there is none."""
    path = _source_path(plugin.module)
    if path is None:
        return ""
    try:
        with open(path, "rb") as source:
            module = ast.parse(source.read())
    except (OSError, SyntaxError, ValueError):
        # A command that cannot be read still has its place in the list; running it says what is wrong.
        return ""
    _, _, attribute = plugin.value.partition(":")
    functions = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == attribute]
    docstrings = filter(None, map(ast.get_docstring, [*functions, module]))
    return next(docstrings, "").partition("\n")[0]


def _source_path(module: str) -> str | None:
    # importlib.util.find_spec would import the parent packages.
    for root in sys.path:
        base = os.path.join(root, *module.split("."))
        for path in (f"{base}.py", os.path.join(base, "__init__.py")):
            if os.path.isfile(path):
                return path
    return None
