"""The registry of plug-ins: entry points of the installed distributions, listed without an import, loaded on use."""

import difflib
import functools
import importlib
import logging
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from typing import overload

from marin.plugins.catalogue import BUILT_IN, GROUPS
from marin.plugins.errors import (
    BrokenPluginError,
    DuplicatePluginError,
    PluginError,
    PluginRequirementError,
    PluginVersionError,
    UnknownPluginError,
)

logger = logging.getLogger(__name__)

# importlib.metadata's own parser splits the extra `lm-eval` in two and fails on what it cannot read.
_VALUE = re.compile(r"(?P<module>[\w.]+)(\s*:\s*(?P<attribute>[\w.]+))?\s*(\[(?P<extras>[^\]]*)\])?")


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class PluginInfo:
    """What the metadata of its distribution says of one plug-in."""

    group: str
    """Entry-point group, such as `marin.classifiers`."""
    name: str
    """Name within the group."""
    distribution: str
    """Distribution that gives it."""
    version: str
    """Version of the distribution."""
    value: str
    """Where the object is: `module:attribute`."""
    extras: tuple[str, ...] = ()
    """Extras of the distribution that it needs."""
    rivals: tuple[str, ...] = ()
    """Other distributions, with versions, that give the same name."""

    @property
    def module(self) -> str:
        """The module that is imported on use."""
        return self.value.partition(":")[0]

    @property
    def install_command(self) -> str:
        """The command that installs the distribution with all that the plug-in needs."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return _install_command(f"{self.distribution}{extras}")

    def __str__(self) -> str:
        return f"{GROUPS.get(self.group, 'plug-in')} {self.name!r} of {self.distribution} {self.version}"

    def problem(self) -> PluginError | None:
        """What stands in the way of using it, as far as metadata tells; None if it is ready."""
        if self.group not in GROUPS:
            return _unknown_group(self.group, f"{self}: ")
        if self.rivals:
            givers = " and ".join((f"{self.distribution} {self.version}", *self.rivals))
            return DuplicatePluginError(
                f"{GROUPS[self.group]} {self.name!r} is given by {givers}; uninstall all of them but one"
            )
        if not _VALUE.fullmatch(self.value):
            return BrokenPluginError(f"{self} has the entry point {self.value!r}; it must be 'module:attribute'")
        return self._requirement_problem()

    def _requirement_problem(self) -> PluginError | None:
        # Imported on use: `marin --help` lists commands and needs no versions.
        from marin.plugins.requirements import unknown_extras, unmet_requirements

        try:
            undeclared = unknown_extras(self.distribution, self.extras)
            unmet = unmet_requirements(self.distribution, self.extras)
        except ValueError as error:
            problem = BrokenPluginError(f"{self} has metadata that cannot be read: {error}")
            problem.__cause__ = error
            return problem
        if undeclared:
            return BrokenPluginError(f"{self} needs the extra {undeclared[0]!r}, which {self.distribution} lacks")
        missing = [item.wanted for item in unmet if item.found is None]
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            needs = f"{self} needs {', '.join(missing)}, which {verb} not installed"
            return _installable(PluginRequirementError, needs, self.install_command)
        if unmet:
            wrong = ", ".join(f"{item.wanted} (found {item.found})" for item in unmet)
            return _installable(PluginVersionError, f"{self} wants {wrong}", self.install_command)
        return None


def list_plugins(group: str | None = None) -> list[PluginInfo]:
    """The installed plug-ins of `group`, or of all groups, sorted; nothing of them is imported.

    Of a distribution that is on `sys.path` twice, the first copy counts, as it does for imports. A distribution whose
    metadata cannot be read is left out with a warning in the log.

    Raises:
        UnknownPluginError: there is no such group.
    """
    if group is not None and group not in GROUPS:
        raise _unknown_group(group)
    found = {plugin for plugin in _installed_plugins() if group in (None, plugin.group)}
    return sorted(replace(plugin, rivals=_rivals(plugin, found)) for plugin in found)


def plugin_names(group: str) -> list[str]:
    """The names of the installed plug-ins of `group`, sorted, each once.

    Raises:
        UnknownPluginError: there is no such group.
    """
    return sorted({plugin.name for plugin in list_plugins(group)})


@overload
def load_plugin(group: str, name: str) -> object: ...


@overload
def load_plugin[T](group: str, name: str, *, kind: type[T]) -> T: ...


def load_plugin(group: str, name: str, *, kind: type | None = None) -> object:
    """The plug-in `name` of `group`, imported after its requirements are checked.

    Args:
        group: An entry-point group of `marin.plugins.catalogue.GROUPS`.
        name: Name within the group.
        kind: Class, or runtime-checkable protocol, that the plug-in must be an instance of.

    Raises:
        UnknownPluginError: nothing of that name is installed, or there is no such group.
        DuplicatePluginError: more than one distribution gives the name.
        PluginRequirementError: a library that it needs is not installed.
        PluginVersionError: a library that it needs has another version than it wants.
        BrokenPluginError: it cannot be imported, or is not of `kind`.
    """
    plugins = list_plugins(group)
    plugin = next((plugin for plugin in plugins if plugin.name == name), None)
    if plugin is None:
        raise _unknown_name(group, name, {plugin.name for plugin in plugins})
    problem = plugin.problem()
    if problem is not None:
        raise problem
    loaded = _import(plugin)
    fault = None if kind is None else _fault(loaded, kind)
    if fault is not None:
        raise BrokenPluginError(f"{plugin} ({plugin.value}) does not satisfy {fault}")
    return loaded


def _installed_plugins() -> Iterator[PluginInfo]:
    for name in sorted({name for name in map(_plugin_giver, metadata.distributions()) if name is not None}):
        # Looked up again by name: a second copy further down `sys.path` does not count.
        distribution = metadata.distribution(name)
        try:
            yield from _plugins_of(name, distribution)
        except (ValueError, TypeError, KeyError) as error:
            logger.warning("the entry points of %s cannot be read and are left out: %s", name, error)


def _plugin_giver(distribution: metadata.Distribution) -> str | None:
    """The normalised name of `distribution` if it may give plug-ins; the text is searched before any is parsed."""
    try:
        if "[marin." not in (distribution.read_text("entry_points.txt") or ""):
            return None
        name = distribution.metadata.get("Name")
    except UnicodeDecodeError as error:
        logger.warning("the metadata of %s cannot be read and is left out: %s", distribution, error)
        return None
    return None if name is None else re.sub(r"[-_.]+", "-", name).lower()


def _plugins_of(name: str, distribution: metadata.Distribution) -> list[PluginInfo]:
    plugins: list[PluginInfo] = []
    for entry in distribution.entry_points:
        if not entry.group.startswith("marin."):
            continue
        parts = _VALUE.fullmatch(entry.value.strip())
        value, extras = entry.value, ""
        if parts:
            value = parts["module"] + (f":{parts['attribute']}" if parts["attribute"] else "")
            extras = parts["extras"] or ""
        plugins.append(
            PluginInfo(
                group=entry.group,
                name=entry.name,
                distribution=name,
                version=distribution.metadata.get("Version") or "unknown",
                value=value,
                extras=tuple(extra for part in extras.split(",") if (extra := part.strip())),
            )
        )
    return plugins


def _rivals(plugin: PluginInfo, found: Iterable[PluginInfo]) -> tuple[str, ...]:
    return tuple(
        f"{other.distribution} {other.version}"
        for other in sorted(found)
        if (other.group, other.name) == (plugin.group, plugin.name) and other != plugin
    )


def _import(plugin: PluginInfo) -> object:
    module, _, attribute = plugin.value.partition(":")
    try:
        loaded: object = importlib.import_module(module)
        return functools.reduce(getattr, attribute.split("."), loaded) if attribute else loaded
    except (Exception, SystemExit) as error:
        # Whatever a third party's module raises on import is its author's; we add whose it is and keep the cause.
        reason = f"{type(error).__name__}: {error}"
        raise BrokenPluginError(f"{plugin} ({plugin.value}) cannot be imported: {reason}") from error


def _fault(loaded: object, kind: type) -> str | None:
    """Why `loaded` is no instance of `kind`, beginning with its name; None if it is one."""
    members: Iterable[str] = sorted(getattr(kind, "__protocol_attrs__", ()))
    if isinstance(loaded, kind):
        # A class has the methods of its instances and would pass for one of them.
        if isinstance(loaded, type) and not all(hasattr(type(loaded), member) for member in members):
            return f"{kind.__name__}: it is the class {loaded.__name__}; an instance is asked for"
        return None
    missing = [member for member in members if not hasattr(loaded, member)]
    return f"{kind.__name__}: it lacks {', '.join(missing)}" if missing else f"{kind.__name__}: it is {loaded!r}"


def _install_command(requirement: str) -> str:
    return f"uv pip install {shlex.quote(requirement)}"


def _installable(kind: type[PluginError], message: str, command: str) -> PluginError:
    problem = kind(f"{message}; install with: {command}")
    problem.install_command = command
    return problem


def _unknown_name(group: str, name: str, installed: set[str]) -> UnknownPluginError:
    offered = BUILT_IN.get(group, {})
    if name in offered:
        command = _install_command(offered[name])
        error = UnknownPluginError(f"{GROUPS[group]} {name!r} is not installed; install with: {command}")
        error.install_command = command
        return error
    near = difflib.get_close_matches(name.lower(), sorted(installed | set(offered)))
    question = f"; did you mean {' or '.join(repr(match) for match in near)}?" if near else "."
    elsewhere = [f"{other} ({_install_command(offered[other])})" for other in offered if other not in installed]
    names = f" Installed: {', '.join(sorted(installed)) or 'none'}."
    if elsewhere:
        names += f" Not installed: {', '.join(elsewhere)}."
    return UnknownPluginError(f"unknown {GROUPS[group]} {name!r}{question}{names}")


def _unknown_group(group: str, prefix: str = "") -> UnknownPluginError:
    near = difflib.get_close_matches(group, GROUPS, n=1)
    question = f"; did you mean {near[0]}?" if near else "."
    return UnknownPluginError(f"{prefix}unknown plug-in group {group!r}{question} Groups: {', '.join(GROUPS)}")
