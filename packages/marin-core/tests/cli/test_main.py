import json
import platform
from importlib.metadata import version


def test_version_names_every_marin_package(marin, site):
    result = marin("--version")
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"marin-core {version('marin-core')}"
    assert f"marin-fray {version('marin-fray')}" in lines
    assert lines[-1] == f"python {platform.python_version()}"


def test_help_imports_nothing_heavy(marin, add_command):
    add_command(
        "probe", "import click, json, sys\n@click.command\ndef command(): print(json.dumps(sorted(sys.modules)))"
    )
    result = marin("probe")
    modules = set(json.loads(result.stdout))
    assert "click" in modules
    heavy = {"rich", "fray", "zephyr", "iris", "rigging", "fsspec", "numpy", "pyarrow", "torch", "jax", "asyncio"}
    assert not heavy & modules


def test_verbose_shows_what_is_logged(marin, add_command):
    body = "import click, logging\n@click.command\ndef command(): logging.getLogger('acme').info('one step further')"
    add_command("logs", body)
    assert "one step further" not in marin("logs").stderr
    assert "INFO acme: one step further" in marin("-v", "logs").stderr


def test_a_bug_keeps_its_traceback(marin, add_command):
    add_command("bug", "import click\n@click.command\ndef command(): return {}['absent']")
    result = marin("bug")
    assert result.returncode == 1
    assert "KeyError: 'absent'" in result.stderr


def test_no_arguments_show_the_help(marin):
    result = marin()
    assert "Commands:" in result.stderr + result.stdout
    assert result.returncode == 2
