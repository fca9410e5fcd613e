"""Where a run comes from: code, command, people, machine and packages.

Rigging's `Provenance` serves where the launcher of a job has left one. It is not captured here: five calls of git and
its import take 0.15 s, more than a small experiment.
"""

import contextlib
import functools
import getpass
import os
import platform
import shlex
import subprocess
import sys
from typing import Any

_LAUNCH_VARIABLE = "MARIN_PROVENANCE"
"""Rigging's: JSON that the launcher of a job leaves for processes without a git checkout."""

_DISTRIBUTION_SUFFIX = ".dist-info"


@functools.cache
def provenance() -> dict[str, Any]:
    """What is known of this process, as JSON values; looked up once.

    `git_commit` and `git_dirty` (None outside a checkout), `command`, `user`, `host`, `python`, and `packages`: every
    installed distribution as `name==version`, in one line.
    """
    commit, dirty = _launched_commit() if _LAUNCH_VARIABLE in os.environ else _git_state()
    return {
        "git_commit": commit,
        "git_dirty": dirty,
        "command": shlex.join(sys.argv),
        "user": user(),
        "host": platform.node(),
        "python": platform.python_version(),
        "packages": " ".join(f"{name}=={version}" for name, version in sorted(installed_packages().items())),
    }


def user() -> str | None:
    """Who runs this process; None where the system does not know."""
    with contextlib.suppress(OSError, KeyError):
        return getpass.getuser()
    return None


def installed_packages() -> dict[str, str]:
    """Versions by distribution name, read off the names of the folders that installers leave."""
    versions: dict[str, str] = {}
    for folder in sys.path:
        with contextlib.suppress(OSError):
            for entry in os.listdir(folder or "."):
                if entry.endswith(_DISTRIBUTION_SUFFIX):
                    name, _, version = entry.removesuffix(_DISTRIBUTION_SUFFIX).partition("-")
                    versions.setdefault(name.replace("_", "-").lower(), version)
    return versions


def _git_state() -> tuple[str | None, bool | None]:
    try:
        output = subprocess.run(
            ["git", "status", "--porcelain=v2", "--branch"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None, None
    lines = output.splitlines()
    commit = next((line.rpartition(" ")[2] for line in lines if line.startswith("# branch.oid ")), None)
    return commit, any(not line.startswith("#") for line in lines)


def _launched_commit() -> tuple[str | None, bool | None]:
    from rigging.provenance import Provenance

    launched = Provenance.capture()
    return launched.base_commit or None, launched.dirty
