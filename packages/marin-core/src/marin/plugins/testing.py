"""Base of the conformance kits: what holds for a plug-in of any group.

The kit of an area (`marin.generation.testing`, for one) calls `check_plugin` and goes on with the behaviour that its
protocol promises. Authors of plug-ins call the kit of their area from a test.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from marin.plugins.registry import list_plugins, load_plugin

_LIST_IN_FRESH_INTERPRETER = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from marin.plugins.registry import list_plugins
for plugin in list_plugins(sys.argv[2]):
    plugin.problem()
print(json.dumps(sorted(sys.modules)))
"""


class ConformanceError(AssertionError):
    """A plug-in does not do what its group asks for; the message says what was expected and what came."""


def require(condition: bool, message: str) -> None:
    """Raise `ConformanceError` with `message` unless `condition` holds; unlike `assert`, also under `python -O`."""
    if not condition:
        raise ConformanceError(message)


def require_instance(value: object, kind: type, what: str) -> None:
    """Raise `ConformanceError` unless `value`, which `what` gave, is of `kind`."""
    require(isinstance(value, kind), f"{what} gives {value!r}, which is not a {kind.__name__}")


def check_plugin[T](group: str, name: str, kind: type[T]) -> T:
    """The plug-in `name` of `group`, after checking what holds for every plug-in.

    It is listed once, its requirements are met, listing does not import it, and what it gives is of `kind`.

    Raises:
        ConformanceError: one of these does not hold.
        PluginError: it cannot be looked up or imported; the message says why.
    """
    found = [plugin for plugin in list_plugins(group) if plugin.name == name]
    if found:
        imported = _modules_imported_by_listing(group)
        module = found[0].module
        require(module not in imported, f"listing {group} imports {module}; only loading {name!r} may")
    return load_plugin(group, name, kind=kind)


def _modules_imported_by_listing(group: str) -> set[str]:
    path = json.dumps(sys.path)
    command = [sys.executable, "-c", _LIST_IN_FRESH_INTERPRETER, path, group]
    listing = subprocess.run(command, capture_output=True, text=True, check=False)
    require(listing.returncode == 0, f"listing {group} in a fresh interpreter fails:\n{listing.stderr}")
    return set(json.loads(listing.stdout.splitlines()[-1]))


def write_distribution(
    folder: Path,
    name: str,
    *,
    entry_points: Mapping[str, Mapping[str, str]],
    version: str = "1.0",
    requires: Sequence[str] = (),
    extras: Sequence[str] = (),
    modules: Mapping[str, str] | None = None,
) -> None:
    """Write an installed distribution into `folder`; once that is on `sys.path`, its plug-ins are found.

    Tests of kits and of look-ups use it to meet plug-ins that no package index should have.

    Args:
        folder: Where the metadata and the modules go.
        name: Name of the distribution.
        entry_points: Group to name to value.
        version: Version of the distribution.
        requires: Its requirements, with markers for those of extras.
        extras: The extras that it declares.
        modules: Path below `folder` to source text.
    """
    metadata = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}"]
    metadata += [f"Requires-Dist: {requirement}" for requirement in requires]
    metadata += [f"Provides-Extra: {extra}" for extra in extras]
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("\n".join(metadata) + "\n", encoding="utf-8")
    lines: list[str] = []
    for group, entries in entry_points.items():
        lines += [f"[{group}]", *(f"{entry} = {value}" for entry, value in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for path, source in (modules or {}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(source, encoding="utf-8")
