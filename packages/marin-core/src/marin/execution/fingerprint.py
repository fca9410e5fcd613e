"""The full digest of a step: a SHA-256 that tells apart what the six digits in a default output path confuse.

It is made of the same things as the version of `identity` (name, versioned values by dotted path, references), in an
encoding where every value carries its type, so that an enum member is not its value and a `Path` not its text.
Classes enter by their name without the module: a class that has moved, or is in `__main__` now, is still the same.
Lists and tuples are deliberately the same sequence, as configs that have been through JSON or YAML turn one into the
other. Dependencies enter by their own digests, so the work for a step does not grow with what is below it.
"""

import datetime
import functools
import types
from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from pathlib import PurePath
from typing import Any, cast
from uuid import UUID

from marin.execution.identity import check_nesting, stable_text
from marin.execution.steps import ATOM_TYPES, ExecutorStep, InputName, OutputName, field_names


def step_digest(
    name_and_values: str, types: str, dependencies: Sequence[str], pseudo_dependencies: Sequence[str]
) -> str:
    """SHA-256 of what identifies a step, in hex digits.

    Args:
        name_and_values: JSON texts of the step's name and of the values and references in its config.
        types: what these texts do not say.
        dependencies: digests of the steps that it refers to and waits for.
        pseudo_dependencies: digests of those that it does not wait for.
    """
    text = f"{name_and_values}{types}|{','.join(dependencies)}|{','.join(pseudo_dependencies)}"
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def beyond_json(value: Any, path: str) -> str:
    """What the JSON text of `value` does not say of it: nothing where it is an atom, otherwise text with all types.

    The text is the same in every process, and another one for every other value or type. It is never the beginning of
    the text of another value, so texts can be joined.

    Raises:
        PlanError: the value, or something in it, has no such text; the message begins with `path`.
    """
    if type(value) in ATOM_TYPES or (isinstance(value, (str, int, float)) and not isinstance(value, Enum)):
        return ""
    return _Canonical(path).text(value, "", 0)


class _Canonical:
    """Encodes one value; knows where it stands in the config, for messages."""

    def __init__(self, path: str) -> None:
        self._path = path

    def text(self, value: Any, below: str, depth: int) -> str:
        check_nesting(self._path + below, depth)
        if isinstance(value, Enum):
            inner = self.text(value.value, below, depth + 1)
            return _tagged("enum", type(value).__qualname__, f"{value.name}", inner)
        if (atom := _atom(value)) is not None:
            return atom
        if isinstance(value, ExecutorStep | InputName | OutputName):
            return stable_text(value, self._path + below)
        names = field_names(value.__class__)
        if names is not None:
            fields = [(name, getattr(value, name)) for name in sorted(names)]
            return self._items(f"dataclass {type(value).__qualname__}", fields, below, depth)
        if isinstance(value, dict):
            return self._dict(cast("dict[Any, Any]", value), below, depth)
        if isinstance(value, list | tuple | set | frozenset):
            return self._elements(cast("Iterable[Any]", value), below, depth)
        if isinstance(value, functools.partial):
            parts = [("func", value.func), ("args", value.args), ("keywords", value.keywords)]
            return self._items("partial", parts, below, depth)
        return self._named(value, below)

    def _items(self, tag: str, items: Iterable[tuple[str, Any]], below: str, depth: int) -> str:
        parts: list[str] = []
        for key, item in items:
            parts += key, self.text(item, f"{below}.{key}", depth + 1)
        return _tagged(tag, *parts)

    def _dict(self, items: dict[Any, Any], below: str, depth: int) -> str:
        pairs = [
            (self.text(key, below, depth + 1), self.text(item, f"{below}.{key}", depth + 1))
            for key, item in items.items()
        ]
        return _tagged("dict", *[part for pair in sorted(pairs) for part in pair])

    def _elements(self, elements: Iterable[Any], below: str, depth: int) -> str:
        texts = [self.text(element, f"{below}.[{index}]", depth + 1) for index, element in enumerate(elements)]
        if isinstance(elements, set | frozenset):
            return _tagged("set" if isinstance(elements, set) else "frozenset", *sorted(texts))
        fields = getattr(elements, "_fields", None)
        return _tagged("sequence" if fields is None else f"named {type(elements).__qualname__}", *texts)

    def _named(self, value: Any, below: str) -> str:
        """The text of an object without content of its own to look into."""
        text = stable_text(value, self._path + below)
        if isinstance(value, type):
            return _tagged("class", value.__qualname__)
        if isinstance(value, types.BuiltinFunctionType):
            # `math.sqrt` and `cmath.sqrt` have the same text.
            return _tagged("function", f"{value.__module__}", value.__qualname__)
        return _tagged("object", type(value).__qualname__, text)


def _atom(value: Any) -> str | None:
    """The text of a value that holds no other values; None for all others."""
    if value is None or isinstance(value, bool):
        return f"{value};"
    if isinstance(value, str):
        return f"s{len(value)}:{value}"
    if isinstance(value, int):
        return f"i{int(value)};"
    if isinstance(value, float):
        return f"f{float(value)!r};"
    if isinstance(value, bytes | bytearray):
        return _tagged(type(value).__qualname__, value.hex())
    if isinstance(value, datetime.timedelta):
        return _tagged("timedelta", f"{value.days} {value.seconds} {value.microseconds}")
    if isinstance(value, datetime.date | datetime.time):  # a datetime is a date
        return _tagged(type(value).__qualname__, value.isoformat())
    if isinstance(value, PurePath):
        return _tagged("path", str(value))
    if isinstance(value, UUID | Decimal | range):
        return _tagged(type(value).__qualname__, str(value))
    return None


def _tagged(tag: str, *parts: str) -> str:
    return f"({len(tag)}:{tag}{len(parts)}:{''.join(f'{len(part)}:{part}' for part in parts)})"
