"""The steps of an experiment in topological order, each with its version and output path. Nothing here recurses."""

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from marin.execution.errors import PlanError
from marin.execution.identity import (
    HASH_LENGTH,
    References,
    checked_name,
    checked_override,
    collect,
    resolve,
    under_prefix,
)
from marin.execution.steps import ExecutorStep

logger = logging.getLogger(__name__)

_MAX_INLINED_LEVELS = 4


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Node:
    """A step with everything that follows from its config and the prefix."""

    step: ExecutorStep[Any]
    """The first step object that has this version."""
    config: Any
    """The config with paths and values in place of placeholders."""
    version: dict[str, Any]
    """What identifies the output, as JSON values."""
    version_str: str
    """`version` as JSON text, the input of the hash."""
    digest: str
    """MD5 of `version_str`, whole."""
    output_path: str
    """Where the output lies."""
    dependencies: tuple["Node", ...]
    """Steps that must have succeeded before; each once."""
    levels: int
    """Steps on the longest chain of dependencies below."""

    @property
    def name(self) -> str:
        """The step's name in Unicode normal form C."""
        return self.version["name"]

    @property
    def short_version(self) -> dict[str, Any] | str:
        """What stands for this step in the version of a step that depends on it."""
        if self.levels <= _MAX_INLINED_LEVELS:
            return self.version
        return f"{self.name}-{self.digest[:HASH_LENGTH]}"

    @property
    def short_version_str(self) -> str:
        """`short_version` as JSON text."""
        return self.version_str if self.levels <= _MAX_INLINED_LEVELS else json.dumps(self.short_version)


@dataclass(kw_only=True, slots=True)
class _Visit:
    step: ExecutorStep[Any]
    references: References
    unvisited: Iterator[ExecutorStep[Any]]


class Graph:
    """Steps and all that they refer to."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.nodes: list[Node] = []
        """Each output once, dependencies before dependents."""
        self.node_of: dict[ExecutorStep[Any], Node] = {}
        """The node of every step object; objects of one version share theirs."""
        self._node_at: dict[str, Node] = {}
        self._output_paths: dict[ExecutorStep[Any], str] = {}

    def add(self, step: ExecutorStep[Any]) -> Node:
        """Add `step` and all that it refers to; the node of the step.

        Raises:
            PlanError: a name or a config is unusable, two different steps share an output path, or there is a cycle.
        """
        path: dict[ExecutorStep[Any], _Visit] = {}
        if step not in self.node_of:
            path[step] = _visit(step)
        while path:
            visit = next(reversed(path.values()))
            reference = next((other for other in visit.unvisited if other not in self.node_of), None)
            if reference is None:
                del path[visit.step]
                self._finish(visit)
            elif reference in path:
                raise PlanError(_cycle_message(list(path), reference))
            else:
                path[reference] = _visit(reference)
        return self.node_of[step]

    def _finish(self, visit: _Visit) -> None:
        node = self._make_node(visit.step, visit.references)
        known = self._node_at.setdefault(node.output_path.rstrip("/"), node)
        if known is node:
            self.nodes.append(node)
        elif known.version_str != node.version_str:
            raise PlanError(
                f"steps {known.name} and {node.name} are different and would both write to {node.output_path}: "
                f"give one of them another name or override_output_path\n"
                f"  {known.name}: {known.version_str}\n  {node.name}: {node.version_str}"
            )
        elif known.step.fn is not node.step.fn or repr(known.config) != repr(node.config):
            logger.warning(
                "two steps named %s differ only in what is not part of their version (the function, or config fields "
                "without versioned); the first one stands for both, at %s",
                node.name,
                node.output_path,
            )
        self.node_of[visit.step] = known
        self._output_paths[visit.step] = known.output_path

    def _make_node(self, step: ExecutorStep[Any], references: References) -> Node:
        name = checked_name(step.name)
        dependencies = [self.node_of[dependency] for dependency in references.dependencies]
        pseudo_dependencies = [self.node_of[dependency] for dependency in references.pseudo_dependencies]
        version: dict[str, Any] = {
            "name": name,
            "config": references.version,
            "dependencies": [dependency.short_version for dependency in dependencies],
        }
        if pseudo_dependencies:
            version["pseudo_dependencies"] = [dependency.short_version for dependency in pseudo_dependencies]
        version_str = _version_text(name, references.version, dependencies, pseudo_dependencies)
        digest = hashlib.md5(version_str.encode(), usedforsecurity=False).hexdigest()
        output_path = os.path.join(self.prefix, f"{name}-{digest[:HASH_LENGTH]}")
        if step.override_output_path is not None:
            output_path = under_prefix(self.prefix, checked_override(step.override_output_path, name))
        return Node(
            step=step,
            config=self._resolved(step, output_path),
            version=version,
            version_str=version_str,
            digest=digest,
            output_path=output_path,
            dependencies=tuple(dict.fromkeys(dependencies)),
            levels=1 + max((dependency.levels for dependency in dependencies), default=-1),
        )

    def _resolved(self, step: ExecutorStep[Any], output_path: str) -> Any:
        try:
            return resolve(step.config, output_path, self._output_paths, self.prefix)
        except (TypeError, ValueError) as error:
            raise PlanError(
                f"step {step.name}: its config {type(step.config).__name__} cannot be built with paths in place of "
                f"placeholders: {error}"
            ) from error


def _visit(step: ExecutorStep[Any]) -> _Visit:
    try:
        references = collect(step.config)
    except PlanError as error:
        raise PlanError(f"step {step.name}: {error}") from error
    return _Visit(
        step=step,
        references=references,
        unvisited=iter([*references.dependencies, *references.pseudo_dependencies]),
    )


def _cycle_message(path: list[ExecutorStep[Any]], repeated: ExecutorStep[Any]) -> str:
    names = [step.name for step in [*path[path.index(repeated) :], repeated]]
    return f"the steps depend on each other in a cycle: {' -> '.join(names)}"


def _version_text(name: str, config: dict[str, Any], dependencies: list[Node], pseudo_dependencies: list[Node]) -> str:
    """The version as `json.dumps(version, sort_keys=True)` writes it, put together from the texts of dependencies.

    Texts are joined because dumping nested versions again at every level doubles the work with each diamond.
    """
    parts = [
        f'"config": {json.dumps(config, sort_keys=True)}',
        f'"dependencies": [{", ".join(dependency.short_version_str for dependency in dependencies)}]',
        f'"name": {json.dumps(name)}',
    ]
    if pseudo_dependencies:
        texts = ", ".join(dependency.short_version_str for dependency in pseudo_dependencies)
        parts.append(f'"pseudo_dependencies": [{texts}]')
    return f"{{{', '.join(parts)}}}"
