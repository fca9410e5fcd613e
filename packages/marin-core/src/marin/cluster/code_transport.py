"""Lets workers run functions from modules that only this process can import."""

import dataclasses
import functools
import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import CellType, ModuleType
from typing import Any, cast

import cloudpickle

from marin.errors import UsageError

_looked_at: set[str] = set()


def ship_local_modules() -> None:
    """Have cloudpickle send by value what a worker cannot import.

    A worker is a fresh interpreter of the same environment. It finds installed packages, editable ones included, but
    neither the modules beside the script that runs here nor test modules; functions and classes of those travel whole,
    as those of the script itself do. Call it before something is pickled; modules imported later need another call.
    """
    folders = _worker_import_path()
    pickler = cast(Any, cloudpickle)  # it ships no types
    # Each module is looked at once: a look at all of them takes 30 ms, and every submission comes here.
    fresh = sys.modules.keys() - _looked_at
    for name in fresh:
        module = sys.modules.get(name)
        if module is not None and name != "__main__" and _only_here(module, folders):
            pickler.register_pickle_by_value(module)
    _looked_at.update(fresh)


def _only_here(module: ModuleType, folders: tuple[str, ...]) -> bool:
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or getattr(module, "__name__", None) not in sys.modules:
        return False
    # A module that is found under a folder of the worker's path, at the place its name says, can be imported there.
    parts = Path(file).with_suffix("").parts
    name = tuple(module.__name__.split("."))
    if parts[-1] == "__init__":
        parts = parts[:-1]
    if parts[-len(name) :] != name:
        return not file.startswith(folders)
    return str(Path(*parts[: -len(name)])) not in folders


@functools.cache
def _worker_import_path() -> tuple[str, ...]:
    """Folders on the import path of a fresh interpreter; asked once per process, about 30 ms."""
    listing = subprocess.run(
        [sys.executable, "-P", "-c", "import sys; print(*sys.path, sep='\\n')"],
        check=True,
        capture_output=True,
        text=True,
    )
    return tuple(line for line in listing.stdout.splitlines() if line)


def check_can_be_sent(function: Any, arguments: Mapping[str, Any], what: str) -> None:
    """Raise `UsageError`, beginning with `what` and naming the culprit, if a worker cannot be sent a call.

    Args:
        function: what is called.
        arguments: its arguments by the names that messages give them.
        what: whose call it is, such as `job train`.
    """
    ship_local_modules()
    error = _pickling_error((function, dict(arguments)))
    if error is None:
        return
    parts = {_name(function): function, **arguments}
    culprit = next((found for name, part in parts.items() if (found := _culprit(part, name, ())) is not None), what)
    raise UsageError(f"{what}: {culprit} cannot be sent to a worker: {error}") from error


def _pickling_error(value: Any) -> Exception | None:
    try:
        cast(Any, cloudpickle).dumps(value)
    except (TypeError, AttributeError, ValueError, pickle.PicklingError, NotImplementedError, RecursionError) as error:
        return error
    return None


def _culprit(value: Any, place: str, outside: tuple[Any, ...]) -> str | None:
    """Where the innermost part of `value` is that cannot be pickled; None if it can be.

    Args:
        value: what is looked into.
        place: what messages call it.
        outside: what `value` was found in, so that what holds itself ends.
    """
    if any(value is other for other in outside) or _pickling_error(value) is None:
        return None
    for name, part in _parts(value):
        found = _culprit(part, f"{place}{name}", (*outside, value))
        if found is not None:
            return found
    return f"{place} ({type(value).__name__})"


def _parts(value: Any) -> list[tuple[str, Any]]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(f".{field.name}", getattr(value, field.name)) for field in dataclasses.fields(value)]
    if isinstance(value, dict):
        return [(f"[{key!r}]", item) for key, item in cast("dict[Any, Any]", value).items()]
    if isinstance(value, list | tuple):
        return [(f"[{index}]", item) for index, item in enumerate(cast("list[Any]", value))]
    return [(f", the variable {name!r} that {_name(value)} uses", part) for name, part in _used_variables(value)]


def _used_variables(function: Any) -> list[tuple[str, Any]]:
    """Variables from outside that a function uses: those of enclosing functions, then those of its module."""
    code = getattr(function, "__code__", None)
    if code is None:
        return []
    cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
    enclosing = [(name, cell.cell_contents) for name, cell in cells if _is_filled(cell)]
    return enclosing + [(name, function.__globals__[name]) for name in code.co_names if name in function.__globals__]


def _is_filled(cell: CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:  # a variable that is assigned later
        return False


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", None) or repr(function))
