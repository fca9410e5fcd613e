"""What identifies the output of a step: its version, and the output path made of it.

The version of a step is its name, the versioned values in its config by dotted path, and the versions of the steps
that the config refers to. Its JSON text is hashed with MD5, and the first six hex digits end the default output path:
names, order and spelling are those of Marin's executor of May 2026, so that existing outputs are found. There, a
dependency with more than four levels of dependencies below it enters by its name and hash, not by its whole version.
"""

import json
import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from enum import Enum
from pathlib import PurePath
from typing import Any, cast

from marin.execution.errors import PlanError
from marin.execution.steps import ExecutorStep, InputName, OutputName, field_names

MAX_NESTING = 200
"""Levels of containers in a config; more of them are a config that holds itself."""

HASH_LENGTH = 6
"""Hex digits of the version's MD5 that end a default output path."""

_ADDRESS = re.compile(r"\bat 0x[0-9A-Fa-f]+")
_ATOMS = (str, int, float, bool, type(None))
_SORTED_JSON = json.JSONEncoder(sort_keys=True)

quoted = json.encoder.encode_basestring_ascii
"""A string as JSON text, as `json.dumps` writes it, in a sixth of the time."""


def json_text(value: Any, path: str) -> str:
    """`value` encoded, as JSON text with sorted keys; errors as of `encode`."""
    if type(value) is str:
        return quoted(value)
    if type(value) is int:
        return f"{value}"
    return _SORTED_JSON.encode(encode(value, path))


def check_nesting(path: str, depth: int) -> None:
    """Raise `PlanError` where a value is so deep in others that they hold themselves."""
    if depth > MAX_NESTING:
        raise PlanError(f"config field {path[:60]!r}... is nested deeper than {MAX_NESTING} levels: it holds itself")


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
    return _encode(value, path, otherwise or stable_text, 0)


def _encode(value: Any, path: str, otherwise: Callable[[Any, str], Any], depth: int) -> Any:
    check_nesting(path, depth)

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
    names = field_names(value.__class__)
    if names is not None:
        return {name: encode_child(getattr(value, name), name) for name in names}
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


def stable_text(value: Any, path: str) -> str:
    """The `str()` of an object without a JSON form, where it is the same in every process; sets are sorted.

    Raises:
        PlanError: the object is a reference, or its text holds a memory address or not all of its content.
    """
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
