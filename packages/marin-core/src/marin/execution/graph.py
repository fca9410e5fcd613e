"""The steps of an experiment in topological order, each with its version and output path. Nothing here recurses."""

import contextlib
import gc
import json
import logging
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import md5
from typing import Any

from marin.execution.errors import PlanError
from marin.execution.fingerprint import step_digest
from marin.execution.identity import HASH_LENGTH, quoted
from marin.execution.names import check_length, checked_name, checked_override, folded, under_prefix
from marin.execution.references import References, collect, holders, resolve
from marin.execution.steps import ExecutorStep

logger = logging.getLogger(__name__)

_MAX_INLINED_LEVELS = 4


# Not frozen: that would triple the cost of making one, which is a tenth of the time of planning. Nothing assigns.
@dataclass(kw_only=True, eq=False)
class Node:
    """A step with everything that follows from its config and the prefix."""

    step: ExecutorStep[Any]
    """The first step object that has this version."""
    name: str
    """The step's name in Unicode normal form C."""
    version_str: str
    """What identifies the output, as JSON text: the input of the hash in the default path."""
    path_hash: str
    """The hex digits of the MD5 of `version_str` that end the default path."""
    digest: str
    """SHA-256 of what identifies the output, with types, in hex digits."""
    output_path: str
    """Where the output lies."""
    dependencies: tuple["Node", ...]
    """Steps that must have succeeded before; each once."""
    levels: int
    """Steps on the longest chain of dependencies below."""
    graph: "Graph" = field(repr=False)
    """The graph that the step is in."""

    @cached_property
    def config(self) -> Any:
        """The config with paths and values in place of placeholders, built when it is first asked for.

        Raises:
            PlanError: the config does not accept them.
        """
        return self.config_at(self.output_path)

    @property
    def version(self) -> dict[str, Any]:
        """What identifies the output, as JSON values."""
        return json.loads(self.version_str)

    @property
    def short_version_str(self) -> str:
        """What stands for this step in the version of a step that depends on it, as JSON text."""
        return self.version_str if self.levels <= _MAX_INLINED_LEVELS else quoted(f"{self.name}-{self.path_hash}")

    def config_at(self, output_path: str) -> Any:
        """The config as `config`, with paths in `output_path` in place of those in the step's output.

        Raises:
            PlanError: the config does not accept them.
        """
        step = self.step
        try:
            return resolve(step.config, output_path, self.graph.path_of, self.graph.prefix)
        except (TypeError, ValueError) as error:
            raise PlanError(
                f"step {step.name}: its config {type(step.config).__name__} cannot be built with paths in place of "
                f"placeholders: {error}"
            ) from error


@dataclass(slots=True)
class _Visit:
    step: ExecutorStep[Any]
    references: References
    unvisited: Iterator[ExecutorStep[Any]]
    """What the step refers to and has not been looked at yet."""


@contextlib.contextmanager
def collector_paused() -> Generator[None]:
    """Within the block, Python's garbage collector rests.

    What is made while a graph is planned stays. The collector would look through it again and again as it grows, which
    takes a quarter of the time for 100,000 steps.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


class Graph:
    """Steps and all that they refer to."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.nodes: list[Node] = []
        """Each output once, dependencies before dependents."""
        self.node_of: dict[ExecutorStep[Any], Node] = {}
        """The node of every step object; objects of one version share theirs."""
        self._base = os.path.join(prefix, "")
        self._node_at: dict[str, Node] = {}
        """Nodes by folded output path."""

    def path_of(self, step: ExecutorStep[Any]) -> str:
        """Where the output of `step`, which has been added, lies."""
        return self.node_of[step].output_path

    def add(self, step: ExecutorStep[Any]) -> Node:
        """Add `step` and all that it refers to; the node of the step.

        Raises:
            PlanError: a name or a config is unusable, two different steps share an output path, or there is a cycle.
        """
        known = self.node_of.get(step)
        if known is not None:
            return known
        with collector_paused():
            self._add(step)
        return self.node_of[step]

    def _add(self, step: ExecutorStep[Any]) -> None:
        path = [_visit(step)]
        on_path = {step}
        while path:
            visit = path[-1]
            for reference in visit.unvisited:
                if reference in on_path:
                    raise PlanError(_cycle_message([visit.step for visit in path], reference))
                if reference not in self.node_of:
                    path.append(_visit(reference))
                    on_path.add(reference)
                    break
            else:
                self._finish(path.pop())
                on_path.remove(visit.step)

    def _finish(self, visit: _Visit) -> None:
        node = self._make_node(visit.step, visit.references)
        known = self._node_at.setdefault(folded(node.output_path), node)
        if known is node:
            self.nodes.append(node)
        else:
            _check_same(known, node)
        self.node_of[visit.step] = known

    def _make_node(self, step: ExecutorStep[Any], references: References) -> Node:
        name = checked_name(step.name)
        json_name = quoted(name)
        dependencies = [self.node_of[dependency] for dependency in references.dependencies]
        pseudo_dependencies = [self.node_of[dependency] for dependency in references.pseudo_dependencies]
        version_str = _version_text(json_name, references.version_text, dependencies, pseudo_dependencies)
        path_hash = md5(version_str.encode(), usedforsecurity=False).hexdigest()[:HASH_LENGTH]
        if step.override_output_path is None:
            output_path = f"{self._base}{name}-{path_hash}"
        else:
            output_path = under_prefix(self.prefix, checked_override(step.override_output_path, name))
        check_length(output_path, name)
        return Node(
            step=step,
            name=name,
            version_str=version_str,
            path_hash=path_hash,
            digest=step_digest(
                json_name + references.version_text,
                references.types_text,
                [dependency.digest for dependency in dependencies],
                [dependency.digest for dependency in pseudo_dependencies],
            ),
            output_path=output_path,
            dependencies=tuple(dict.fromkeys(dependencies)) if len(dependencies) > 1 else tuple(dependencies),
            levels=1 + max([dependency.levels for dependency in dependencies]) if dependencies else 0,
            graph=self,
        )


def _visit(step: ExecutorStep[Any]) -> _Visit:
    try:
        references = collect(step.config)
    except PlanError as error:
        raise PlanError(f"step {step.name}: {error}") from error
    return _Visit(step, references, iter((*references.dependencies, *references.pseudo_dependencies)))


def _check_same(known: Node, node: Node) -> None:
    """Refuse `node` if it is another step than `known`, whose output path differs at most in letter case."""
    if known.output_path.rstrip("/") != node.output_path.rstrip("/"):
        raise PlanError(
            f"steps {known.name} and {node.name} would write to {known.output_path} and {node.output_path}, which "
            "differ only in letter case and are one folder on some disks: give one of them another name or "
            "override_output_path"
        )
    if known.digest != node.digest or holders(known.step.config) != holders(node.step.config):
        shown = [other.version_str for other in (known, node)]
        if known.version_str == node.version_str:
            shown = [repr(other.config) for other in (known, node)]
        raise PlanError(
            f"steps {known.name} and {node.name} are different and would both write to {node.output_path}: "
            f"give one of them another name or override_output_path\n"
            f"  {known.name}: {shown[0]}\n  {node.name}: {shown[1]}"
        )
    if known.step.fn is not node.step.fn or repr(known.config) != repr(node.config):
        logger.warning(
            "two steps named %s differ only in what is not part of their version (the function, or config fields "
            "without versioned); the first one stands for both, at %s",
            node.name,
            node.output_path,
        )


def _cycle_message(path: list[ExecutorStep[Any]], repeated: ExecutorStep[Any]) -> str:
    names = [step.name for step in [*path[path.index(repeated) :], repeated]]
    return f"the steps depend on each other in a cycle: {' -> '.join(names)}"


def _version_text(json_name: str, config_text: str, dependencies: list[Node], pseudo_dependencies: list[Node]) -> str:
    """The version as `json.dumps(version, sort_keys=True)` writes it, put together from the texts of dependencies.

    Texts are joined because dumping nested versions again at every level doubles the work with each diamond.
    """
    texts = ", ".join([dependency.short_version_str for dependency in dependencies])
    text = f'{{"config": {config_text}, "dependencies": [{texts}], "name": {json_name}'
    if pseudo_dependencies:
        texts = ", ".join([dependency.short_version_str for dependency in pseudo_dependencies])
        text += f', "pseudo_dependencies": [{texts}]'
    return text + "}"
