import re
import tomllib
from pathlib import Path

import pytest

from marin.plugins.catalogue import BUILT_IN, GROUPS

PACKAGES = Path(__file__).parents[3]


def requirement_of_each_entry_point() -> dict[str, dict[str, str]]:
    """Group to name to distribution with extras, from the pyproject files of all packages."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(PACKAGES.glob("*/pyproject.toml")):
        project = tomllib.loads(path.read_text())["project"]
        for group, entries in project.get("entry-points", {}).items():
            for name, value in entries.items():
                extras = re.search(r"\[.*\]$", value)
                found.setdefault(group, {})[name] = project["name"] + (extras[0] if extras else "")
    return found


def test_built_in_plugins_are_those_of_the_pyproject_files():
    assert {group: dict(entries) for group, entries in BUILT_IN.items()} == requirement_of_each_entry_point()


def test_built_in_plugins_are_in_known_groups():
    assert set(BUILT_IN) <= set(GROUPS)


@pytest.mark.parametrize("table", [GROUPS, BUILT_IN])
def test_the_tables_cannot_be_changed(table):
    with pytest.raises(TypeError):
        table["marin.commands"] = "something else"
