"""What identifies the output of a step: its version, and the output path made of it.

The version of a step is its name, the versioned values in its config by dotted path, and the versions of the steps
that the config refers to. Its JSON text is hashed with MD5, and the first six hex digits end the default output path:
names, order and spelling are those of Marin's executor of May 2026, so that existing outputs are found. There, a
dependency with more than four levels of dependencies below it enters by its name and hash, not by its whole version.
"""

import dataclasses
import json
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import PurePath
from typing import Any, cast
from urllib.parse import urlsplit

from marin.execution.errors import PlanError
from marin.execution.steps import ExecutorStep, InputName, OutputName, VersionedValue, map_children

MAX_NESTING = 200
"""Levels of containers in a config; more of them are a config that holds itself."""

HASH_LENGTH = 6
"""Hex digits of the version's MD5 that end a default output path."""

_MAX_SEGMENT_BYTES = 255
_ADDRESS = re.compile(r"\bat 0x[0-9A-Fa-f]+")
_CONTROL_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")
_ATOMS = (str, int, float, bool, type(None))


@dataclass(frozen=True, kw_only=True, slots=True)
class References:
    """What a config says about the identity of its step."""

    version: dict[str, Any]
    """JSON values by dotted path: versioned values as they are, references as `DEP[i]/name`."""
    dependencies: list[ExecutorStep[Any]]
    """Steps whose outputs the step waits for."""
    pseudo_dependencies: list[ExecutorStep[Any]]
    """Steps that only enter the identity."""


def collect(config: Any) -> References:
    """The references and versioned values in `config`.

    Raises:
        PlanError: something in it cannot be part of an identity; the message has its dotted path.
    """
    version: dict[str, Any] = {}
    dependencies: list[ExecutorStep[Any]] = []
    pseudo_dependencies: list[ExecutorStep[Any]] = []
    for path, placeholder in walk(config):
        if path in version:
            raise PlanError(
                f"config field {path!r} exists twice: a dict key with a dot repeats the path of another field"
            )
        if isinstance(placeholder, VersionedValue):
            version[path] = encode(placeholder.value, path)
        elif placeholder.step is None:
            version[path] = placeholder.name
        else:
            index = len(dependencies) + len(pseudo_dependencies)
            (dependencies if placeholder.block_on_step else pseudo_dependencies).append(placeholder.step)
            version[path] = f"DEP[{index}]" + (f"/{placeholder.name}" if placeholder.name else "")
    return References(version=version, dependencies=dependencies, pseudo_dependencies=pseudo_dependencies)


def walk(config: Any) -> Iterator[tuple[str, VersionedValue[Any] | InputName]]:
    """The versioned values and references in `config` with their dotted paths, depth first.

    Looks into dataclasses, dicts, lists, tuples and sets; a bare step is a reference to its output folder.
    """
    stack: list[tuple[str, Any, int]] = [("", config, 0)]
    while stack:
        path, value, depth = stack.pop()
        if isinstance(value, _ATOMS):
            continue
        if isinstance(value, ExecutorStep):
            yield path, value.as_input_name()
        elif isinstance(value, VersionedValue | InputName):
            yield path, value
        else:
            _check_nesting(path, depth)
            children = [(f"{path}.{key}" if path else key, child, depth + 1) for key, child in _children(value, path)]
            stack.extend(reversed(children))


def _check_nesting(path: str, depth: int) -> None:
    if depth > MAX_NESTING:
        raise PlanError(f"config field {path[:60]!r}... is nested deeper than {MAX_NESTING} levels: it holds itself")


def _children(value: Any, path: str) -> Iterable[tuple[str, Any]]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value)
        for key in items:
            if not isinstance(key, str):
                raise PlanError(f"config field {path!r}: keys of a dict must be strings, got {key!r}")
        return items.items()
    if isinstance(value, set | frozenset):
        return _indexed(_in_stable_order(cast("set[Any]", value), path))
    if isinstance(value, list | tuple):
        return _indexed(cast("Iterable[Any]", value))
    return ()


def _indexed(values: Iterable[Any]) -> list[tuple[str, Any]]:
    return [(f"[{index}]", value) for index, value in enumerate(values)]


def _in_stable_order(values: set[Any] | frozenset[Any], path: str) -> list[Any]:
    """The elements in an order that does not depend on hashes; refused where no such order exists."""
    if len(values) < 2 or not any(True for value in values for _ in walk(value)):
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
    return _text(value, path)


def encode(value: Any, path: str, otherwise: "Callable[[Any, str], Any] | None" = None) -> Any:
    """`value` as JSON values that are the same in every process.

    Enums are their values, dataclasses dicts of their fields, tuples lists; a set is its sorted text, and any other
    object its `str()`.

    Args:
        value: what to encode.
        path: dotted path for messages.
        otherwise: encodes references and objects without a JSON form; by default references are refused, and so are
            objects whose text holds a memory address or not all of their content.

    Raises:
        PlanError: the value, or something in it, has no such form.
    """
    return _encode(value, path, otherwise or _text, 0)


def _encode(value: Any, path: str, otherwise: Callable[[Any, str], Any], depth: int) -> Any:
    _check_nesting(path, depth)

    def encode_child(child: Any, key: str) -> Any:
        return _encode(child, f"{path}.{key}" if path else key, otherwise, depth + 1)

    if isinstance(value, Enum):
        return _encode(value.value, path, otherwise, depth + 1)
    if isinstance(value, _ATOMS):
        return value
    if isinstance(value, timedelta):
        return {"days": value.days, "seconds": value.seconds, "microseconds": value.microseconds}
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, ExecutorStep | InputName | OutputName):
        return otherwise(value, path)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode_child(getattr(value, field.name), field.name) for field in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        elements = cast("Iterable[Any]", value)
        return [encode_child(element, f"[{index}]") for index, element in enumerate(elements)]
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value)
        _check_keys(items, path)
        return {key: encode_child(item, str(key)) for key, item in items.items()}
    return otherwise(value, path)


def _check_keys(items: dict[Any, Any], path: str) -> None:
    for key in items:
        if not isinstance(key, _ATOMS):
            raise PlanError(f"config field {path!r}: {key!r} cannot be a key in a versioned dict; use strings")
    try:
        sorted(items)
    except TypeError as error:
        raise PlanError(f"config field {path!r}: keys of different types have no order; use strings") from error


def _text(value: Any, path: str) -> str:
    if isinstance(value, ExecutorStep | InputName | OutputName):
        raise PlanError(
            f"config field {path!r}: a reference to a step's output is inside versioned(...), where it would never "
            "become a path; take it out, it is part of the version as it is"
        )
    if getattr(value, "ndim", 0):
        raise PlanError(f"config field {path!r}: the text of a {type(value).__name__} leaves data out; version a list")
    text = _stable_repr(value) if isinstance(value, set | frozenset) else str(value)
    if _ADDRESS.search(text):
        raise PlanError(
            f"config field {path!r}: {text} is written with its memory address, which differs in every process; "
            "version a name, a number or a dataclass instead"
        )
    return text


def _stable_repr(value: Any) -> str:
    if not isinstance(value, set | frozenset | tuple):
        return repr(value)
    elements = list(cast("Iterable[Any]", value))
    if isinstance(value, tuple):
        texts = [_stable_repr(element) for element in elements]
        return f"({texts[0]},)" if len(texts) == 1 else f"({', '.join(texts)})"
    if not elements:
        return repr(cast("Any", value))
    if all(isinstance(element, int | float) for element in elements):
        elements.sort()
        braced = f"{{{', '.join(map(repr, elements))}}}"
    else:
        braced = f"{{{', '.join(sorted(_stable_repr(element) for element in elements))}}}"
    return f"frozenset({braced})" if isinstance(value, frozenset) else braced


def resolve(config: Any, output_path: str, output_paths: Mapping[ExecutorStep[Any], str], prefix: str) -> Any:
    """`config` with every placeholder replaced: references by paths, versioned values by what they wrap.

    Args:
        config: it has passed `collect`.
        output_path: output of the step that the config belongs to.
        output_paths: outputs of the steps that it refers to.
        prefix: where hardcoded paths begin.
    """

    def resolved(value: Any) -> Any:
        if isinstance(value, ExecutorStep):
            return output_paths[value]
        if isinstance(value, InputName):
            if value.step is None:
                return under_prefix(prefix, value.name or "")
            return os.path.join(output_paths[value.step], value.name or "") if value.name else output_paths[value.step]
        if isinstance(value, OutputName):
            return os.path.join(output_path, value.name) if value.name else output_path
        if isinstance(value, VersionedValue):
            return cast("VersionedValue[Any]", value).value
        return map_children(value, resolved)

    return resolved(config)


def under_prefix(prefix: str, path: str) -> str:
    """`path` below `prefix` where it is relative, and as it is where it is absolute or a URL."""
    return path if urlsplit(path).scheme else os.path.join(prefix, path)


def checked_name(name: str) -> str:
    """The name of a step in Unicode normal form C.

    Raises:
        PlanError: as a path it would leave the prefix, or no file system could hold it.
    """
    normal = unicodedata.normalize("NFC", name)
    if not normal.strip():
        raise PlanError("the name of a step must not be empty")
    if normal.startswith("/") or "://" in normal:
        raise PlanError(f"step {name!r}: the name must be relative to the prefix; use override_output_path for others")
    _check_segments(normal, f"step {name!r}: the name", suffix_bytes=HASH_LENGTH + 1)
    return normal


def checked_override(path: str, name: str) -> str:
    """`path` in Unicode normal form C.

    Raises:
        PlanError: it is empty, leaves the prefix by `..`, or no file system could hold it.
    """
    normal = unicodedata.normalize("NFC", path)
    if not normal.strip("/ "):
        raise PlanError(f"step {name}: override_output_path must not be empty")
    _check_segments(normal, f"step {name}: override_output_path {path!r}", suffix_bytes=0)
    return normal


def _check_segments(path: str, what: str, *, suffix_bytes: int) -> None:
    for character in path:
        if unicodedata.category(character) in _CONTROL_CATEGORIES:
            raise PlanError(f"{what} holds the control character {character!r}")
    segments = path.split("/")
    for index, segment in enumerate(segments):
        if segment == "..":
            raise PlanError(f"{what} must not hold '..'")
        size = len(segment.encode()) + (suffix_bytes if index == len(segments) - 1 else 0)
        if size > _MAX_SEGMENT_BYTES:
            raise PlanError(f"{what} has a part of {size} bytes with its hash; file systems allow {_MAX_SEGMENT_BYTES}")
