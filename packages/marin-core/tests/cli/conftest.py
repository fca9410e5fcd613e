import os
import subprocess
import sys
from pathlib import Path

import pytest

from marin.plugins.testing import write_distribution


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """A folder on `sys.path`, for distributions that last for the test."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def add_command(site):
    """Installs a distribution with one command whose module holds `source`."""

    def add(name, source, *, distribution=None, **options):
        module = f"acme_command_{name}"
        points = {"marin.commands": {name: f"{module}:command"}}
        modules = {f"{module}.py": source}
        write_distribution(site, distribution or f"acme-{name}", entry_points=points, modules=modules, **options)
        return module

    return add


@pytest.fixture
def marin(site):
    """Runs `marin` in a process of its own, which also sees the distributions of `site`."""

    def run(*arguments, variables=None):
        command = [sys.executable, "-c", "from marin.cli.main import main; main()", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(site), **(variables or {})}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run
