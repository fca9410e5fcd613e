"""Print the script that completes `marin` commands in a shell."""

import sys

import click
from click.shell_completion import get_completion_class

_INSTRUCTIONS = {
    "bash": """put into ~/.bashrc:  eval "$(marin completion bash)\"""",
    "zsh": """put into ~/.zshrc:  eval "$(marin completion zsh)\"""",
    "fish": "run once:  marin completion fish > ~/.config/fish/completions/marin.fish",
}


@click.command(epilog="\b\n" + "\n".join(f"{shell:<5} {how}" for shell, how in _INSTRUCTIONS.items()))
@click.argument("shell", type=click.Choice(list(_INSTRUCTIONS)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes `marin` commands in SHELL."""
    kind = get_completion_class(shell)
    assert kind is not None, f"click has no completion for {shell}"
    click.echo(kind(ctx.find_root().command, {}, "marin", "_MARIN_COMPLETE").source())
    if sys.stdout.isatty():
        click.echo(f"To use it, {_INSTRUCTIONS[shell]}", err=True)
