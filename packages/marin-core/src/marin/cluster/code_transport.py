"""Lets workers run functions from modules that only this process can import."""

import functools
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import cloudpickle

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
