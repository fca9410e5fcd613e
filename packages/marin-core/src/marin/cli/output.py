"""What commands print: tables and text for people, JSON for programs. Libraries log instead."""

import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

json_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON instead of text."
)
"""Adds `--json` to a click command, passed on as `as_json`."""


def console() -> "Console":
    """A rich console on standard output. What is piped is not wrapped."""
    return _console(stderr=False)


def error_console() -> "Console":
    """A rich console on standard error, for progress and messages."""
    return _console(stderr=True)


def print_json(value: Any) -> None:
    """Print `value`, made of what JSON knows, as indented JSON on standard output."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, as_json: bool = False) -> None:
    """Print `rows` under `columns`: drawn on a terminal, aligned plain text in a pipe, JSON objects on request.

    No cell is ever cut. A cell that is None is empty.
    """
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    cells = [["" if cell is None else " ".join(str(cell).split("\n")) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_drawn(columns, cells)
    else:
        _print_aligned([list(columns), *cells])


def _console(*, stderr: bool) -> "Console":
    # Imported on use: rich is a third of the import time of `marin --help`.
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    # Markup would swallow the brackets of 'marin-eval[vllm]'.
    return Console(stderr=stderr, markup=False, highlight=False, soft_wrap=not stream.isatty())


def _print_drawn(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console().print(table)


def _print_aligned(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(padded).rstrip())
