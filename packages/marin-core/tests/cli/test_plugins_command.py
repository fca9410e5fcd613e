import json

import click
import pytest
from click.testing import CliRunner

from marin.cli.group import COMMAND_GROUP
from marin.cli.plugins_command import plugins
from marin.plugins.errors import UnknownPluginError
from marin.plugins.testing import check_plugin, write_distribution

GROUP = "marin.rl.losses"


@pytest.fixture
def installed(site):
    write_distribution(site, "acme-fine", version="1.2", entry_points={GROUP: {"fine": "acme_fine:LOSS"}})
    write_distribution(
        site,
        "acme-needy",
        entry_points={GROUP: {"needy": "acme_needy:LOSS [jax]"}},
        requires=["acme-absent; extra == 'jax'"],
        extras=["jax"],
    )
    write_distribution(site, "acme-one", entry_points={GROUP: {"same": "a:A"}})
    write_distribution(site, "acme-two", entry_points={GROUP: {"same": "b:B"}})


def run(*arguments):
    result = CliRunner().invoke(plugins, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_the_table_says_ready_or_what_to_do(installed):
    header, *lines = [line.split(maxsplit=4) for line in run("--group", GROUP).splitlines()]
    assert header == ["group", "name", "distribution", "version", "state"]
    assert {line[0] for line in lines} == {GROUP}
    assert [GROUP, "fine", "acme-fine", "1.2", "ready"] in lines
    assert [GROUP, "needy", "acme-needy", "1.0", "uv pip install 'acme-needy[jax]'"] in lines
    assert [line[4] for line in lines if line[1] == "same"] == [
        "loss 'same' is given by acme-one 1.0 and acme-two 1.0; uninstall all of them but one",
        "loss 'same' is given by acme-two 1.0 and acme-one 1.0; uninstall all of them but one",
    ]


def test_json_has_every_field(installed):
    rows = {row["distribution"]: row for row in json.loads(run("--group", GROUP, "--json"))}
    assert rows["acme-fine"] == {
        "group": GROUP,
        "name": "fine",
        "distribution": "acme-fine",
        "version": "1.2",
        "value": "acme_fine:LOSS",
        "extras": [],
        "ready": True,
        "problem": None,
        "install_command": None,
    }
    needy = rows["acme-needy"]
    assert (needy["ready"], needy["extras"]) == (False, ["jax"])
    assert needy["install_command"] == "uv pip install 'acme-needy[jax]'"
    assert "needs acme-absent, which is not installed" in needy["problem"]
    assert rows["acme-one"]["install_command"] is None


def test_all_groups_are_listed_by_default(installed):
    groups = {row["group"] for row in json.loads(run("--json"))}
    assert {GROUP, "marin.commands", "marin.cluster_backends"} <= groups


def test_an_unknown_group_is_an_error():
    with pytest.raises(UnknownPluginError, match=r"did you mean marin\.rl\.losses"):
        CliRunner().invoke(plugins, ["--group", "marin.rl.loss"], catch_exceptions=False)


def test_it_is_a_plugin_itself():
    assert check_plugin(COMMAND_GROUP, "plugins", click.Command) is plugins
