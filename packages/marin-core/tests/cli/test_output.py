import json
import os
import pty
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from marin.cli.output import console, error_console, json_option, print_json, print_table

COLUMNS = ["name", "state"]
ROWS = [("fasttext", "uv pip install 'marin-classifiers[fasttext]'"), ("length", None), ("x", 3)]


@pytest.fixture
def terminal():
    """Runs Python code with a terminal of 40 columns as standard output, and returns what appears there."""

    def run(code):
        control, side = pty.openpty()
        variables = {**os.environ, "COLUMNS": "40", "TERM": "xterm"}
        process = subprocess.Popen([sys.executable, "-c", code], stdout=side, env=variables)
        os.close(side)
        chunks = []
        while True:
            try:
                chunk = os.read(control, 4096)
            except OSError:  # Linux reports the closed other side so
                break
            if not chunk:
                break
            chunks.append(chunk)
        os.close(control)
        assert process.wait() == 0
        return b"".join(chunks).decode()

    return run


def test_a_table_in_a_pipe_is_aligned_plain_text(capsys):
    print_table(COLUMNS, ROWS)
    assert capsys.readouterr().out == (
        "name      state\nfasttext  uv pip install 'marin-classifiers[fasttext]'\nlength\nx         3\n"
    )


def test_long_cells_are_not_cut_and_lines_not_broken(capsys):
    long = "word " * 100 + "end"
    print_table(["text"], [[long], ["two\nlines"]])
    assert capsys.readouterr().out.splitlines() == ["text", long, "two lines"]


def test_a_table_as_json_is_a_list_of_objects(capsys):
    print_table(COLUMNS, ROWS, as_json=True)
    assert json.loads(capsys.readouterr().out) == [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]


def test_an_empty_table_shows_its_columns(capsys):
    print_table(COLUMNS, [])
    assert capsys.readouterr().out == "name  state\n"


def test_a_row_of_another_length_is_an_error():
    with pytest.raises(ValueError, match="zip"):
        print_table(COLUMNS, [["alone"]])


def test_a_table_on_a_terminal_is_drawn_and_folded_without_loss(terminal):
    shown = terminal(f"from marin.cli.output import print_table; print_table({COLUMNS!r}, {ROWS!r})")
    assert "\N{BOX DRAWINGS LIGHT HORIZONTAL}" in shown
    assert "'marin-classifiers[fasttext]'" in "".join(shown.split()).replace("uvpipinstall", "")
    assert max(len(line) for line in shown.replace("\r", "").split("\n") if "\x1b" not in line) <= 40


def test_json_is_readable_and_keeps_unicode(capsys):
    print_json({"a": ["é", None, 1.5]})
    out = capsys.readouterr().out
    assert json.loads(out) == {"a": ["é", None, 1.5]}
    assert "é" in out


def test_consoles_write_to_their_streams_without_markup_or_wrapping(capsys):
    long = "uv pip install 'marin-eval[vllm]' " * 10
    console().print(long)
    error_console().print("[red]as it is[/red]")
    captured = capsys.readouterr()
    assert captured.out == f"{long}\n"
    assert captured.err == "[red]as it is[/red]\n"


def test_the_json_option_is_passed_on():
    @click.command
    @json_option
    def command(as_json: bool) -> None:
        click.echo(as_json)

    assert CliRunner().invoke(command, ["--json"]).output == "True\n"
    assert CliRunner().invoke(command, []).output == "False\n"
