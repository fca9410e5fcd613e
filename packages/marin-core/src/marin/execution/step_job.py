"""The job of a step: what is submitted to the cluster."""

import os
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

from fray.types import Entrypoint

from marin.cluster.connect import current_cluster
from marin.cluster.environment import Environment
from marin.cluster.errors import UnsupportedRequestError
from marin.cluster.jobs import JobSpec
from marin.errors import UsageError
from marin.execution.body import Body, staging_path
from marin.execution.errors import PlanError
from marin.execution.graph import Node
from marin.execution.job_body import run_job_body
from marin.resources.config import ResourceConfig


def step_body(node: Node, attempt_id: str) -> Body:
    """What an attempt at `node` runs; the step has a function."""
    step = node.step
    assert step.fn is not None
    staging = staging_path(node.output_path, attempt_id) if step.staged else None
    return Body(
        function=step.fn,
        config=node.config if staging is None else node.config_at(staging),
        output_path=node.output_path,
        staging_path=staging,
        outputs=step.outputs,
    )


def step_job(node: Node, attempt_id: str, lease_seconds: float) -> JobSpec:
    """The job that runs an attempt at `node`."""
    step = node.step
    return JobSpec(
        name=f"{node.name}-{node.path_hash}",
        entrypoint=Entrypoint.from_callable(run_job_body, [step_body(node, attempt_id), attempt_id, lease_seconds]),
        resources=step.resources or ResourceConfig(),
        environment=_environment(step.env_vars, step.pip_dependency_groups),
        max_retries_failure=step.max_retries_failure,
        max_retries_preemption=step.max_retries_preemption,
    )


def check_jobs(nodes: Iterable[Node], lease_seconds: float) -> None:
    """Make sure, before anything runs, that the current cluster takes the jobs of `nodes` as they are.

    Raises:
        PlanError: a step's function or config cannot be sent to a worker, or its environment cannot be had there.
        ClusterError: the cluster cannot be connected to.
    """
    with_jobs = [node for node in nodes if node.step.needs_job and node.step.fn is not None]
    if not with_jobs:
        return
    cluster = current_cluster()
    for node in with_jobs:
        try:
            cluster.check(step_job(node, "unknown", lease_seconds))
        except (UsageError, UnsupportedRequestError) as error:
            raise PlanError(f"step {node.name}: {error}") from error


def _environment(env_vars: dict[str, str] | None, groups: Sequence[str] | None) -> Environment:
    """The environment of a step's job; a group is an extra where the project has one of that name."""
    extras = _project_extras() if groups else frozenset[str]()
    return Environment(
        env_vars=env_vars or {},
        extras=tuple(group for group in groups or () if group in extras),
        pip_packages=tuple(group for group in groups or () if group not in extras),
    )


def _project_extras() -> frozenset[str]:
    """The extras of the project that the working directory belongs to."""
    for folder in [Path(os.getcwd()), *Path(os.getcwd()).parents]:
        project_file = folder / "pyproject.toml"
        if project_file.is_file():
            project = tomllib.loads(project_file.read_text(encoding="utf-8"))
            return frozenset(project.get("project", {}).get("optional-dependencies", {}))
    return frozenset()
