"""What the config of a step refers to: finding the placeholders in it, and replacing them by paths and values."""

import functools
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

from marin.execution.errors import PlanError
from marin.execution.fingerprint import beyond_json
from marin.execution.identity import check_nesting, encode, json_text, quoted, stable_text
from marin.execution.names import under_prefix
from marin.execution.steps import (
    ATOM_TYPES,
    ExecutorStep,
    InputName,
    OutputName,
    VersionedValue,
    field_names,
    map_children,
)

_IDENTIFYING = (VersionedValue, ExecutorStep, InputName)
_PLACEHOLDERS = (*_IDENTIFYING, OutputName)
_PLACEHOLDER_TYPES = frozenset(_PLACEHOLDERS)

Found = list[tuple[str, Any]]
"""Placeholders with their dotted paths."""


# Not frozen: that would triple the cost of making one. Nothing assigns.
@dataclass(slots=True)
class References:
    """What a config says about the identity of its step."""

    version_text: str
    """JSON object by dotted path: versioned values as they are, references as `DEP[i]/name`."""
    types_text: str
    """What the JSON does not say, for the full digest: types of values, and kinds of references."""
    dependencies: list[ExecutorStep[Any]]
    """Steps whose outputs the step waits for."""
    pseudo_dependencies: tuple[ExecutorStep[Any], ...]
    """Steps that only enter the identity."""


def collect(config: Any) -> References:
    """The references and versioned values in `config`.

    Raises:
        PlanError: something in it cannot be part of an identity; the message has its dotted path.
    """
    found: Found = []
    _walk("", config, 0, found)
    entries: list[tuple[str, str, str]] = []
    dependencies: list[ExecutorStep[Any]] = []
    pseudo_dependencies: tuple[ExecutorStep[Any], ...] = ()
    for path, placeholder in found:
        if isinstance(placeholder, VersionedValue):
            value = cast("VersionedValue[Any]", placeholder).value
            text = json_text(value, path)
            entries.append((path, text, f"={beyond_json(value, path)}"))
        elif not isinstance(placeholder, OutputName):
            step, name, waits = _reference(placeholder)
            if step is None:
                entries.append((path, json_text(name, path), "/"))
                continue
            text = f"DEP[{len(dependencies) + len(pseudo_dependencies)}]"
            if waits:
                dependencies.append(step)
            else:
                pseudo_dependencies = (*pseudo_dependencies, step)
            entries.append((path, quoted(f"{text}/{name}" if name else text), "@" if waits else "~"))
    entries.sort()
    if len(entries) > 1 and len({path for path, _, _ in entries}) < len(entries):
        raise PlanError(_repeated_path_message(entries))
    version_text = ", ".join([f"{quoted(path)}: {text}" for path, text, _ in entries])
    types_text = "".join([types for _, _, types in entries])
    return References(f"{{{version_text}}}", types_text, dependencies, pseudo_dependencies)


def _reference(placeholder: ExecutorStep[Any] | InputName) -> tuple[ExecutorStep[Any] | None, str | None, bool]:
    if isinstance(placeholder, ExecutorStep):
        return placeholder, None, True
    return placeholder.step, placeholder.name, placeholder.block_on_step


def _repeated_path_message(entries: list[tuple[str, str, str]]) -> str:
    repeated = next(path for (path, _, _), (following, _, _) in pairwise(entries) if path == following)
    return f"config field {repeated!r} exists twice: a dict key with a dot repeats the path of another field"


def _walk(path: str, value: Any, depth: int, found: Found) -> None:
    """Append the placeholders in `value` to `found`, depth first; a bare step is one for its output folder.

    Looks into dataclasses, dicts, lists, tuples and sets.
    """
    if _is_leaf(value.__class__):
        if isinstance(value, _PLACEHOLDERS):
            found.append((path, cast("Any", value)))
        return
    check_nesting(path, depth)
    for key, child in _children(value, path):
        if type(child) in ATOM_TYPES:
            continue
        child_path = f"{path}.{key}" if path else key
        if type(child) in _PLACEHOLDER_TYPES:
            found.append((child_path, child))
        else:
            _walk(child_path, child, depth + 1, found)


@functools.lru_cache(maxsize=4096)
def _is_leaf(kind: type[Any]) -> bool:
    return issubclass(kind, (*_PLACEHOLDERS, str, int, float))


def holders(config: Any) -> list[tuple[str, str]]:
    """Names of the classes of the dataclasses in `config` that hold versioned values or references, by dotted path.

    They are not part of the identity, so that a class may be renamed; but within one experiment, the `lr` of Adam and
    the `lr` of SGD are not the same value.
    """
    classes: list[tuple[str, str]] = []
    stack: list[tuple[str, Any]] = [("", config)]
    while stack:
        path, value = stack.pop()
        if type(value) in ATOM_TYPES or isinstance(value, _PLACEHOLDERS):
            continue
        children = list(_children(value, path))
        if field_names(value.__class__) and any(isinstance(child, _IDENTIFYING) for _, child in children):
            classes.append((path, type(value).__qualname__))
        stack.extend((f"{path}.{key}", child) for key, child in children)
    return sorted(classes)


def _children(value: Any, path: str) -> Iterable[tuple[str, Any]]:
    names = field_names(value.__class__)
    if names is not None:
        return [(name, getattr(value, name)) for name in names]
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value)
        for key in items:
            if not isinstance(key, str):
                raise PlanError(f"config field {path!r}: keys of a dict must be strings, got {key!r}")
        return items.items()
    if isinstance(value, (set, frozenset)):
        return _indexed(_in_stable_order(cast("set[Any]", value), path))
    if isinstance(value, (list, tuple)):
        return _indexed(cast("Iterable[Any]", value))
    return ()


def _indexed(values: Iterable[Any]) -> list[tuple[str, Any]]:
    return [(f"[{index}]", value) for index, value in enumerate(values)]


def _in_stable_order(values: set[Any] | frozenset[Any], path: str) -> list[Any]:
    """The elements in an order that does not depend on hashes; refused where no such order exists."""
    found: Found = []
    for value in values:
        _walk(path, value, 0, found)
    if len(values) < 2 or all(isinstance(placeholder, OutputName) for _, placeholder in found):
        return list(values)
    by_text = {json.dumps(encode(value, path, _describe_for_order), sort_keys=True): value for value in values}
    if len(by_text) < len(values):
        raise PlanError(f"config field {path!r}: two elements of the set cannot be told apart by name; use a list")
    return [by_text[text] for text in sorted(by_text)]


def _describe_for_order(value: Any, path: str) -> Any:
    if isinstance(value, ExecutorStep):
        value = value.as_input_name()
    if isinstance(value, InputName):
        return ["input", value.step.name if value.step else None, value.name, value.block_on_step]
    if isinstance(value, OutputName):
        return ["output", value.name]
    return stable_text(value, path)


def resolve(config: Any, output_path: str, path_of: Callable[[ExecutorStep[Any]], str], prefix: str) -> Any:
    """`config` with every placeholder replaced: references by paths, versioned values by what they wrap.

    Args:
        config: it has passed `collect`.
        output_path: output of the step that the config belongs to.
        path_of: the outputs of the steps that it refers to.
        prefix: where hardcoded paths begin.
    """

    def resolved(value: Any) -> Any:
        if isinstance(value, VersionedValue):
            return cast("VersionedValue[Any]", value).value
        if isinstance(value, ExecutorStep):
            return path_of(cast("ExecutorStep[Any]", value))
        if isinstance(value, OutputName):
            return os.path.join(output_path, value.name) if value.name else output_path
        if isinstance(value, InputName):
            if value.step is None:
                return under_prefix(prefix, value.name or "")
            return os.path.join(path_of(value.step), value.name) if value.name else path_of(value.step)
        return map_children(value, resolved)

    return resolved(config)
