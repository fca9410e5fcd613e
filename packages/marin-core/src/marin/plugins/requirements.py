"""Which requirements of an installed distribution are unmet, read from metadata: nothing is imported."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@dataclass(frozen=True, kw_only=True, slots=True)
class Unmet:
    """A requirement that the environment does not meet."""

    wanted: str
    """The requirement without its marker: `torch>=2.13`."""
    found: str | None
    """The version that is installed; None for none."""


def unmet_requirements(distribution: str, extras: Iterable[str]) -> list[Unmet]:
    """What `distribution` with `extras` requires here and the environment lacks, in the order of its metadata.

    Markers decide what counts. A requirement with extras of its own (`marin-iris[controller]`) brings what these
    extras add; requirements of requirements are otherwise the installer's business.

    Raises:
        ValueError: a requirement, or the version of what is installed, is not written as the standards ask.
        importlib.metadata.PackageNotFoundError: `distribution` is not installed.
    """
    unmet: dict[str, Unmet] = {}
    pending = [(distribution, ""), *((distribution, extra) for extra in extras)]
    done: set[tuple[str, str]] = set()
    while pending:
        owner, extra = pending.pop(0)
        if (owner, extra) in done:
            continue
        done.add((owner, extra))
        for requirement in _requirements(owner, extra):
            found = _installed_version(requirement.name)
            if found is None or not requirement.specifier.contains(found, prereleases=True):
                wanted = _without_marker(requirement)
                unmet[wanted] = Unmet(wanted=wanted, found=found)
            else:
                # Extras may refer to their own distribution: all = ["marin-eval[hf,vllm]"].
                pending += [(canonicalize_name(requirement.name), nested) for nested in sorted(requirement.extras)]
    return list(unmet.values())


def unknown_extras(distribution: str, extras: Iterable[str]) -> list[str]:
    """Those of `extras` that `distribution` does not declare."""
    declared = metadata.metadata(distribution).get_all("Provides-Extra") or []
    known = {canonicalize_name(extra) for extra in declared}
    return [extra for extra in extras if canonicalize_name(extra) not in known]


def _requirements(distribution: str, extra: str) -> Iterator[Requirement]:
    """What `extra` adds to the requirements of `distribution`; what it always needs, for the extra ''."""
    for line in metadata.distribution(distribution).requires or []:
        requirement = Requirement(line)
        always = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if extra == "":
            applies = always
        else:
            applies = not always and requirement.marker is not None and requirement.marker.evaluate({"extra": extra})
        if applies:
            yield requirement


def _installed_version(distribution: str) -> str | None:
    try:
        # None as well for a folder that an interrupted uninstall left without its metadata.
        return metadata.metadata(distribution).get("Version")
    except metadata.PackageNotFoundError:
        return None


def _without_marker(requirement: Requirement) -> str:
    return str(requirement).partition(";")[0].strip()
