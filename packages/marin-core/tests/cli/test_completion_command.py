import shutil
import subprocess

import pytest
from click.testing import CliRunner

from marin.cli.main import cli


@pytest.mark.parametrize(
    ("shell", "mark"), [("bash", "complete -o"), ("zsh", "#compdef marin"), ("fish", "complete -")]
)
def test_the_script_of_each_shell_is_printed(shell, mark):
    result = CliRunner().invoke(cli, ["completion", shell], prog_name="marin")
    assert result.exit_code == 0
    assert mark in result.stdout
    assert f"_MARIN_COMPLETE={shell}_complete" in result.stdout


def test_the_help_says_where_to_put_it():
    result = CliRunner().invoke(cli, ["completion", "--help"], prog_name="marin")
    assert 'put into ~/.bashrc:  eval "$(marin completion bash)"' in result.stdout


def completed(marin, words):
    variables = {"_MARIN_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    result = marin(variables=variables)
    assert result.stderr == ""
    return [line.partition(",")[2] for line in result.stdout.splitlines()]


def test_commands_options_and_arguments_are_completed(marin, add_command):
    add_command("plot", "raise AssertionError('imported')")
    assert completed(marin, "marin pl") == ["plan", "plot", "plugins"]
    assert completed(marin, "marin --ver") == ["--verbose", "--version"]
    assert completed(marin, "marin completion ") == ["bash", "zsh", "fish"]


def test_a_line_that_cannot_be_completed_stays_quiet(marin, add_command):
    add_command("broken", "raise RuntimeError('no')")
    assert completed(marin, "marin nothing --") == ["--verbose", "--version", "--help"]
    assert completed(marin, "marin broken --") == ["--verbose", "--version", "--help"]


def test_bash_accepts_the_script(marin, tmp_path):
    script = tmp_path / "completion.bash"
    script.write_text(marin("completion", "bash").stdout)
    bash = shutil.which("bash")
    assert bash is not None
    command = [bash, "--norc", "-c", f"source {script} && complete -p marin"]
    assert "marin" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
