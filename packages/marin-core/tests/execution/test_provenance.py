"""Where a run comes from, as a process of its own finds it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

GIT = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org"]


def provenance(folder: Path, **environment: str) -> dict[str, Any]:
    """What a new process in `folder` finds; git looks for no checkout above it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MARIN_", "GIT_"))}
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            "import json; from marin.execution.provenance import provenance as p; print(json.dumps(p()))",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={**inherited, "GIT_CEILING_DIRECTORIES": str(folder.parent), **environment},
    )
    return json.loads(result.stdout)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "file").write_text("one")
    for command in (["init", "-q"], ["add", "file"], ["commit", "-q", "-m", "one"]):
        subprocess.run([*GIT, *command], cwd=folder, check=True)
    return folder


def test_a_commit(checkout: Path) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=checkout, check=True, capture_output=True, text=True)
    found = provenance(checkout)
    assert (found["git_commit"], found["git_dirty"]) == (head.stdout.strip(), False)


@pytest.mark.parametrize("changed", ["file", "new"])
def test_changes_that_are_not_committed(checkout: Path, changed: str) -> None:
    (checkout / changed).write_text("two")
    assert provenance(checkout)["git_dirty"] is True


def test_outside_a_checkout(tmp_path: Path) -> None:
    found = provenance(tmp_path)
    assert (found["git_commit"], found["git_dirty"]) == (None, None)


def test_without_git(checkout: Path, tmp_path: Path) -> None:
    found = provenance(checkout, PATH=str(tmp_path))
    assert (found["git_commit"], found["git_dirty"]) == (None, None)


def test_packages_are_named_with_their_versions(tmp_path: Path) -> None:
    packages = provenance(tmp_path)["packages"].split()
    assert "marin-core==1.0.0" in packages
    assert all(package.count("==") == 1 for package in packages)


def test_what_the_launcher_of_a_job_has_left_counts(checkout: Path) -> None:
    launched = {"tree_hash": "1234567", "base_commit": "89abcde", "dirty": True, "branch": None, "built_by": "somebody"}
    found = provenance(checkout, MARIN_PROVENANCE=json.dumps(launched))
    assert (found["git_commit"], found["git_dirty"]) == ("89abcde", True)
