"""The committed lock, in a small workspace of one member: it asks the package index."""

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.index

WORKSPACE = """\
[project]
name = "workspace"
version = "1.0.0"
requires-python = ">=3.12"

[tool.uv]
package = false

[tool.uv.workspace]
members = ["packages/*"]
"""
MEMBER = """\
[project]
name = "member"
version = "1.0.0"
requires-python = ">=3.12"
dependencies = ["iniconfig>=2"]

[project.optional-dependencies]
words = ["inflection==0.5.1"]

[build-system]
requires = ["uv_build>=0.11,<0.14"]
build-backend = "uv_build"
"""


class Workspace:
    """A workspace under git with a copy of scripts/lock."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lock_file = root / "uv.lock"
        (root / "scripts").mkdir()
        shutil.copy(ROOT / "scripts" / "lock", root / "scripts" / "lock")
        self.write("pyproject.toml", WORKSPACE)
        self.write("packages/member/pyproject.toml", MEMBER)
        self.write("packages/member/src/member/__init__.py", "")
        self.run("git", "init", "--quiet")
        self.lock()
        self.stage()

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def run(self, *command: str) -> str:
        # The tests themselves run in a uv environment, which uv must not take for this workspace's.
        environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def uv(self, *arguments: str) -> str:
        return self.run(os.environ.get("UV", "uv"), "--quiet", *arguments)

    def lock(self, *arguments: str) -> None:
        self.run("scripts/lock", *arguments)

    def stage(self) -> None:
        self.run("git", "add", "--all")

    def replace(self, path: str, old: str, new: str) -> None:
        text = (self.root / path).read_text()
        assert old in text
        self.write(path, text.replace(old, new))

    def versions(self) -> dict[str, str]:
        return {package["name"]: package["version"] for package in tomllib.loads(self.lock_file.read_text())["package"]}

    def set_version(self, name: str, version: str) -> None:
        self.replace(
            "uv.lock",
            f'name = "{name}"\nversion = "{self.versions()[name]}"',
            f'name = "{name}"\nversion = "{version}"',
        )

    def refusal(self) -> str:
        done = subprocess.run(["scripts/lock", "--check"], cwd=self.root, capture_output=True, text=True)
        assert done.returncode == 1
        return done.stderr


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def test_committed_lock_has_versions_and_no_addresses(workspace: Workspace):
    text = workspace.lock_file.read_text()
    assert workspace.versions()["inflection"] == "0.5.1"
    assert "://" not in text
    assert "sha256" not in text
    workspace.lock("--check")


def test_trim_gives_back_the_committed_bytes(workspace: Workspace):
    committed = workspace.lock_file.read_bytes()
    workspace.uv("lock")
    assert workspace.lock_file.read_bytes() != committed
    workspace.lock("--trim")
    assert workspace.lock_file.read_bytes() == committed


def test_lock_is_the_same_from_a_completed_and_from_a_trimmed_one(workspace: Workspace):
    # The wheels of this package disagree on its requirements, and uv reads those of the files that the lock lists.
    workspace.replace(
        "pyproject.toml",
        "package = false",
        "package = false\nenvironments = [\"sys_platform == 'linux' and platform_machine == 'x86_64'\"]",
    )
    workspace.replace("packages/member/pyproject.toml", '"iniconfig>=2"', '"iniconfig>=2", "intel-openmp==2024.2.1"')
    workspace.uv("lock")
    workspace.replace("packages/member/pyproject.toml", '"iniconfig>=2"', '"iniconfig>=2", "six"')
    workspace.uv("lock")
    workspace.lock()
    workspace.stage()
    workspace.lock("--check")


def test_lock_makes_a_first_lock(workspace: Workspace):
    committed = workspace.lock_file.read_bytes()
    workspace.lock_file.unlink()
    workspace.lock()
    assert workspace.lock_file.read_bytes() == committed


def test_sync_installs_the_committed_version_when_a_newer_one_exists(workspace: Workspace):
    newest = workspace.versions()["iniconfig"]
    workspace.set_version("iniconfig", "2.0.0")
    workspace.stage()
    workspace.uv("sync", "--package", "member")
    assert newest != "2.0.0"
    assert workspace.versions()["iniconfig"] == "2.0.0"
    assert "iniconfig==2.0.0" in workspace.uv("pip", "freeze")
    workspace.lock("--check")


def test_check_judges_the_staged_lock_after_uv_completed_the_working_copy(workspace: Workspace):
    workspace.uv("lock")
    workspace.lock("--check")
    assert "://" in workspace.lock_file.read_text(), "the check must leave the working copy alone"


def test_check_refuses_a_lock_with_addresses(workspace: Workspace):
    workspace.uv("lock")
    workspace.stage()
    assert "addresses" in workspace.refusal()


def test_check_refuses_a_version_that_the_requirements_exclude(workspace: Workspace):
    workspace.set_version("inflection", "0.5.0")
    workspace.stage()
    assert "inflection: the lock has 0.5.0, uv chooses 0.5.1" in workspace.refusal()


def test_check_refuses_a_version_that_does_not_exist(workspace: Workspace):
    workspace.set_version("iniconfig", "2.0.999")
    workspace.stage()
    assert "iniconfig: the lock has 2.0.999" in workspace.refusal()


def test_check_refuses_a_requirement_that_the_lock_lacks(workspace: Workspace):
    workspace.replace("packages/member/pyproject.toml", '"iniconfig>=2"', '"iniconfig>=2", "six"')
    message = workspace.refusal()
    assert "six" in message
    assert "is missing from the lock" in message


def test_check_refuses_a_package_that_nothing_asks_for(workspace: Workspace):
    workspace.replace("packages/member/pyproject.toml", '"iniconfig>=2"', "")
    assert "is asked for by no package" in workspace.refusal()


def test_check_refuses_a_dependency_that_moved_between_extras(workspace: Workspace):
    workspace.replace("packages/member/pyproject.toml", "words = [", 'names = ["inflection"]\nwords = [')
    assert "member: its dependencies changed" in workspace.refusal()


def test_check_refuses_requirements_that_cannot_be_solved(workspace: Workspace):
    workspace.replace("packages/member/pyproject.toml", "inflection==0.5.1", "inflection==0.5.999")
    message = workspace.refusal()
    assert "uv lock failed" in message
    assert "inflection" in message


def test_check_refuses_a_lock_that_git_does_not_have(workspace: Workspace):
    workspace.run("git", "rm", "--quiet", "--cached", "uv.lock")
    assert "git has no uv.lock" in workspace.refusal()
