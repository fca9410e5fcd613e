import sys

import pytest
from click.testing import CliRunner

from marin.cli.main import cli
from marin.errors import MarinError
from marin.plugins.errors import MissingRequirementError
from marin.plugins.testing import write_distribution

COMMAND = '''"""{summary}

More that the list does not show.
"""

import click


@click.command
def command():
    {body}
'''


def source(body="pass", summary="Do a thing."):
    return COMMAND.format(summary=summary, body=body)


def run(*arguments):
    return CliRunner().invoke(cli, arguments, prog_name="marin")


def test_help_lists_commands_of_other_distributions_under_their_names_without_importing_them(add_command):
    module = add_command("zebra", source(summary="Count zebras."), distribution="acme-zoo")
    result = run("--help")
    assert result.exit_code == 0
    own, others = result.stdout.split("Commands of acme-zoo:")
    assert "Commands:\n  completion" in own
    assert others.split()[:3] == ["zebra", "Count", "zebras."]
    assert "130  interrupted" in others
    assert module not in sys.modules


def test_the_summary_comes_from_packages_too_and_its_parents_are_not_imported(site):
    points = {"marin.commands": {"deep": "acme_deep.command:command"}}
    modules = {"acme_deep/__init__.py": "", "acme_deep/command/__init__.py": '"""Go deep."""'}
    write_distribution(site, "acme-deep", entry_points=points, modules=modules)
    assert "Go deep." in run("--help").stdout
    assert "acme_deep" not in sys.modules


def test_two_commands_of_one_module_have_their_own_summaries(site):
    source = '''"""Two commands."""
def one():
    """Count to one.

    And stop.
    """
def two():
    pass
'''
    points = {"marin.commands": {"one": "acme_pair:one", "two": "acme_pair:two"}}
    write_distribution(site, "acme-pair", entry_points=points, modules={"acme_pair.py": source})
    lines = [line.split(maxsplit=1) for line in run("--help").stdout.splitlines()]
    assert ["one", "Count to one."] in lines
    assert ["two", "Two commands."] in lines


@pytest.mark.parametrize(("name", "text"), [("syntax", "def"), ("silent", "x = 1"), ("null", "\0")])
def test_a_command_without_a_readable_summary_is_still_listed(add_command, name, text):
    add_command(name, text)
    result = run("--help")
    assert result.exit_code == 0
    assert f"\n  {name}\n" in result.stdout


def test_a_command_runs(add_command):
    add_command("hello", source("click.echo('hello')"))
    result = run("hello")
    assert (result.exit_code, result.stdout) == (0, "hello\n")


def test_a_mistyped_command_gets_a_suggestion_on_one_line():
    result = run("plugin")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: unknown command 'plugin'; did you mean 'plugins'")
    assert "Installed: " in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_command_that_lacks_a_library_says_how_to_install_it(add_command):
    add_command("needy", source(), requires=["acme-absent>=2"])
    result = run("needy")
    assert result.exit_code == MissingRequirementError.exit_code == 3
    assert result.stderr == (
        "error: command 'needy' of acme-needy 1.0 needs acme-absent>=2, which is not installed; "
        "install with: uv pip install acme-needy\n"
    )


def test_a_broken_command_is_one_line_and_the_others_work(add_command):
    add_command("broken", "raise RuntimeError('no such thing')")
    add_command("fine", source("click.echo('fine')"))
    result = run("broken")
    assert result.exit_code == 1
    assert result.stderr == (
        "error: command 'broken' of acme-broken 1.0 (acme_command_broken:command) cannot be imported: "
        "RuntimeError: no such thing\n"
    )
    assert run("fine").stdout == "fine\n"


def test_something_that_is_no_command_is_refused(add_command):
    add_command("number", "command = 3")
    result = run("number")
    assert result.exit_code == 1
    assert "does not satisfy Command: it is 3" in result.stderr


@pytest.mark.parametrize("code", [1, 2, 3, 4])
def test_an_error_of_marin_is_one_line_and_its_exit_code(add_command, code):
    body = "raise type('Odd', (__import__('marin.errors').errors.MarinError,), {'exit_code': %d})('it went wrong')"
    add_command(f"fail{code}", source(body % code))
    result = run(f"fail{code}")
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", "error: it went wrong\n")


def test_verbose_adds_the_whole_traceback(add_command):
    add_command("chained", source("raise __import__('marin.errors').errors.MarinError('outer') from KeyError('inner')"))
    result = run("--verbose", "chained")
    assert result.exit_code == MarinError.exit_code
    assert "KeyError: 'inner'" in result.stderr
    assert result.stderr.startswith("Traceback") or "Traceback (most recent call last)" in result.stderr
    assert result.stderr.endswith("error: outer\n")


def test_an_interrupt_exits_with_130(add_command):
    add_command("stopped", source("raise KeyboardInterrupt"))
    result = run("stopped")
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")


def test_a_truncated_file_is_not_taken_for_the_user_giving_up(add_command):
    add_command("truncated", source("raise EOFError('Compressed file ended')"))
    result = run("truncated")
    assert isinstance(result.exception, RuntimeError)
    assert isinstance(result.exception.__cause__, EOFError)


def test_wrong_options_exit_with_2():
    for arguments in (["--bogus"], ["plugins", "--bogus"], ["completion", "tcsh"]):
        result = run(*arguments)
        assert result.exit_code == 2, arguments
        assert result.stderr.startswith("Usage: marin"), arguments
