"""Records for people and later runs: `.executor_info` beside an output, `experiments/<script>-<hash>.json` per run."""

import contextlib
import getpass
import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from marin import storage
from marin.execution.errors import PlanError
from marin.execution.graph import Node
from marin.execution.identity import HASH_LENGTH, encode

INFO_FILE = ".executor_info"


def step_info(node: Node) -> dict[str, Any]:
    """What is recorded of a step, as JSON values."""
    return {
        "name": node.name,
        "fn_name": _function_name(node.step.fn),
        "config": _readable(node.config),
        "description": node.step.description,
        "override_output_path": node.step.override_output_path,
        "version": node.version,
        "version_digest": node.digest,
        "dependencies": [dependency.output_path for dependency in node.dependencies],
        "output_path": node.output_path,
    }


def write_step_info(node: Node) -> None:
    """Write the record of a step beside its output.

    Raises:
        StorageError: the output cannot be written.
    """
    storage.write_json(storage.join(node.output_path, INFO_FILE), step_info(node))


def write_experiment(nodes: Sequence[Node], *, prefix: str, base_path: str, description: str | None) -> str:
    """Write the record of a run under `base_path`; its path, which is the same for the same steps.

    Raises:
        StorageError: it cannot be written.
    """
    caller = _caller_path()
    identity = "\n".join(f"{node.output_path} {node.digest}" for node in nodes)
    short_hash = hashlib.md5(identity.encode(), usedforsecurity=False).hexdigest()[:HASH_LENGTH]
    name = os.path.basename(caller).removesuffix(".py") or "experiment"
    path = storage.join(base_path, f"{name}-{short_hash}.json")
    storage.write_json(
        path,
        {
            "worker_id": f"{platform.node()}-{os.getpid()}",
            "git_commit": _git_commit(),
            "caller_path": caller,
            "created_date": datetime.now(UTC).isoformat(timespec="seconds"),
            "user": _user(),
            "prefix": prefix,
            "description": description,
            "steps": [step_info(node) for node in nodes],
        },
    )
    return path


def _readable(config: Any) -> Any:
    """The config as JSON values, for people: objects without a JSON form become their text."""
    try:
        return encode(config, "", lambda value, _: str(value))
    except PlanError:
        # Dict keys that JSON does not have: they are no mistake in a field that is not versioned.
        return str(config)


def _function_name(function: Any) -> str:
    name = getattr(function, "__qualname__", None) or str(function)
    module = getattr(function, "__module__", None)
    return f"{module}.{name}" if module else name


def _caller_path() -> str:
    main = sys.modules.get("__main__")
    return str(getattr(main, "__file__", None) or "interactive")


def _git_commit() -> str | None:
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        return subprocess.check_output(["git", "rev-parse", "HEAD"], stderr=subprocess.DEVNULL, text=True).strip()
    return None


def _user() -> str | None:
    with contextlib.suppress(OSError, KeyError):
        return getpass.getuser()
    return None
