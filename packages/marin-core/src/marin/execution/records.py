"""Records for people and later runs: `.executor_info` beside an output, `experiments/<script>-<hash>.json` per run."""

import hashlib
import os
import platform
import sys
from collections.abc import Sequence
from typing import Any

from marin import storage
from marin.execution.errors import PlanError
from marin.execution.graph import Node
from marin.execution.identity import HASH_LENGTH, encode
from marin.execution.provenance import provenance
from marin.execution.status import timestamp
from marin.resources.config import ResourceConfig

INFO_FILE = ".executor_info"


def step_info(node: Node) -> dict[str, Any]:
    """What is recorded of a step, as JSON values."""
    step = node.step
    return {
        "name": node.name,
        "fn_name": _function_name(step.fn),
        "config": _readable(node.config),
        "description": step.description,
        "override_output_path": step.override_output_path,
        "version": node.version,
        "version_digest": node.digest,
        "dependencies": [dependency.output_path for dependency in node.dependencies],
        "output_path": node.output_path,
        "resources": _resources(step.resources) if step.needs_job else None,
        "env_vars": sorted(step.env_vars) if step.env_vars else None,
        "pip_dependency_groups": list(step.pip_dependency_groups) if step.pip_dependency_groups else None,
    }


def write_step_info(node: Node, experiment: str | None) -> None:
    """Write the record of a step beside its output, at the start of an attempt.

    When attempts started and ended, in which processes and jobs, is in the status file.

    Args:
        node: the step.
        experiment: the record of the run that it is a part of.

    Raises:
        StorageError: the output cannot be written.
    """
    record = {**step_info(node), "started": timestamp(), "experiment": experiment, **provenance()}
    storage.write_json(storage.join(node.output_path, INFO_FILE), record)


def read_step_info(output_path: str) -> dict[str, Any]:
    """The record of the step whose output is at `output_path`.

    Raises:
        StorageError: there is none, or it cannot be read.
    """
    return storage.read_json(storage.join(output_path, INFO_FILE))


def experiment_path(nodes: Sequence[Node], base_path: str) -> str:
    """Where the record of a run of these steps lies: the same for the same steps and script."""
    identity = hashlib.md5(usedforsecurity=False)
    for node in nodes:
        identity.update(f"{node.output_path} {node.digest}\n".encode())
    name = os.path.basename(_caller_path()).removesuffix(".py") or "experiment"
    return storage.join(base_path, f"{name}-{identity.hexdigest()[:HASH_LENGTH]}.json")


def experiment_record(nodes: Sequence[Node], *, prefix: str, description: str | None) -> dict[str, Any]:
    """What is recorded of a run when it starts, as JSON values."""
    return {
        "worker_id": f"{platform.node()}-{os.getpid()}",
        "caller_path": _caller_path(),
        "created_date": timestamp(),
        "prefix": prefix,
        "description": description,
        **provenance(),
        "steps": [step_info(node) for node in nodes],
    }


def _readable(config: Any) -> Any:
    """The config as JSON values, for people: objects without a JSON form become their text."""
    try:
        return encode(config, "", lambda value, _: str(value))
    except PlanError:
        # Dict keys that JSON does not have: they are no mistake in a field that is not versioned.
        return str(config)


def _resources(resources: ResourceConfig | None) -> dict[str, Any]:
    asked = resources or ResourceConfig()
    return {
        "cpu": asked.cpu,
        "ram": asked.ram,
        "disk": asked.disk,
        "accelerator": asked.accelerator_descriptor(),
        "preemptible": asked.preemptible,
        "regions": list(asked.regions),
        "zone": asked.zone,
    }


def _function_name(function: Any) -> str:
    name = getattr(function, "__qualname__", None) or str(function)
    module = getattr(function, "__module__", None)
    return f"{module}.{name}" if module else name


def _caller_path() -> str:
    main = sys.modules.get("__main__")
    return str(getattr(main, "__file__", None) or "interactive")
