"""Steps use storage of the region that they run in: reading across regions is slow, and paid by the byte.

Which region a bucket is in, and which one this process is in, is said by the environment (`MARIN_BUCKET_REGIONS` and
`MARIN_REGION`). Where it does not say so, and paths on Google Cloud Storage are in use, Rigging asks Google Cloud.
What stays unknown is not checked.
"""

import functools
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from marin.execution.errors import PlanError
from marin.execution.graph import Node
from marin.execution.steps import ATOM_TYPES, ExecutorStep, field_names

logger = logging.getLogger(__name__)

BUCKET_REGIONS_VARIABLE = "MARIN_BUCKET_REGIONS"
"""Environment variable with the regions of buckets: `my-bucket=us-central1,other=eu`."""

REGION_VARIABLE = "MARIN_REGION"
"""Environment variable with the region that this process runs in."""

_BUCKET_SCHEMES = ("gs", "gcs", "s3", "s3a", "r2")
_GOOGLE_SCHEMES = ("gs", "gcs")
_MULTI_REGIONS = {"us": ("us-",), "eu": ("europe-", "eu-"), "asia": ("asia-",)}
_ZONE_LETTER = re.compile(r"-[a-z]$|(?<=\d)[a-z]$")


@dataclass(frozen=True, kw_only=True, slots=True)
class RegionOverride:
    """A path in another region that a step may use, as it was allowed."""

    step: str
    """Name of the step."""
    key: str
    """Dotted path of the field of its config."""
    path: str
    path_region: str
    """Where the path's bucket is."""
    step_regions: tuple[str, ...]
    """Where the step runs."""
    allowed_by: str
    """The prefix that allows it."""

    def to_json(self) -> dict[str, Any]:
        """The fields, for records."""
        return {**asdict(self), "step_regions": list(self.step_regions)}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Use:
    """A path in a bucket, and the step that uses it."""

    node: Node
    key: str
    path: str
    scheme: str
    bucket: str


def check_plan_regions(nodes: Iterable[Node], allowed: Sequence[str] = ()) -> list[RegionOverride]:
    """As `check_regions`, with what the environment and Rigging know of regions.

    Raises:
        PlanError: a path is in another region and not allowed, or `MARIN_BUCKET_REGIONS` is malformed.
    """
    uses = list(_uses(nodes))
    if not uses:
        return []
    known = _bucket_regions(os.environ.get(BUCKET_REGIONS_VARIABLE, ""))
    google_buckets = {use.bucket for use in uses if use.scheme in _GOOGLE_SCHEMES}
    here = os.environ.get(REGION_VARIABLE) or (_google_region() if google_buckets else None)

    def region_of_bucket(bucket: str) -> str | None:
        return known.get(bucket) or (_google_bucket_region(bucket) if bucket in google_buckets else None)

    return _check_uses(uses, region_of_bucket, here, allowed)


def check_regions(
    nodes: Iterable[Node],
    *,
    region_of_bucket: Callable[[str], str | None],
    here: str | None,
    allowed: Sequence[str],
) -> list[RegionOverride]:
    """Check that every path in a bucket in the configs of `nodes` is in the region that the step runs in.

    A step that may run in several regions needs its paths to be in each of them, as multi-region buckets are.

    Args:
        nodes: steps that are to run.
        region_of_bucket: the region of a bucket by its name; None where it is unknown, and not checked.
        here: the region of this process, where steps run that do not ask for another one; None where it is unknown.
        allowed: URLs; what lies below them may be in another region.

    Returns:
        What is in another region and allowed.

    Raises:
        PlanError: a path is in another region and not allowed; the message lists all of them.
    """
    return _check_uses(_uses(nodes), region_of_bucket, here, allowed)


def _check_uses(
    uses: Iterable[_Use], region_of_bucket: Callable[[str], str | None], here: str | None, allowed: Sequence[str]
) -> list[RegionOverride]:
    region_of = functools.cache(region_of_bucket)
    overrides: list[RegionOverride] = []
    violations: list[str] = []
    for use in uses:
        step_regions = _step_regions(use.node, here)
        path_region = (region_of(use.bucket) or "").lower() if step_regions else ""
        if not path_region or all(_covers(path_region, region) for region in step_regions):
            continue
        prefix = next((prefix for prefix in allowed if _is_below(use.path, prefix)), None)
        if prefix is None:
            where = " or ".join(step_regions)
            key = use.key or "its config"
            violations.append(
                f"step {use.node.name} runs in {where}, but {key} = {use.path} is in {path_region}; "
                f"to allow it: --allow_out_of_region {use.scheme}://{use.bucket}"
            )
            continue
        overrides.append(
            RegionOverride(
                step=use.node.name,
                key=use.key,
                path=use.path,
                path_region=path_region,
                step_regions=step_regions,
                allowed_by=prefix,
            )
        )
    if violations:
        raise PlanError("paths are in another region than the steps that use them:\n  " + "\n  ".join(violations))
    return overrides


def _step_regions(node: Node, here: str | None) -> tuple[str, ...]:
    resources = node.step.resources
    if resources is not None and resources.zone:
        return (_ZONE_LETTER.sub("", resources.zone.lower()),)
    if resources is not None and resources.regions:
        return tuple(region.lower() for region in resources.regions)
    return (here.lower(),) if here else ()


def _covers(location: str, region: str) -> bool:
    return location == region or region.startswith(_MULTI_REGIONS.get(location, ()))


def _is_below(path: str, prefix: str) -> bool:
    folder = prefix.rstrip("/")
    return path == folder or path.startswith(f"{folder}/")


def _uses(nodes: Iterable[Node]) -> Iterator[_Use]:
    for node in nodes:
        found: list[tuple[str, str]] = []
        if not _may_name_urls(node):
            continue
        _find_urls("", node.config, found)
        for key, text in found:
            path = text.rpartition("::")[2]  # fsspec chains file systems: `simplecache::gs://bucket/x`
            scheme, _, rest = path.partition("://")
            if scheme in _BUCKET_SCHEMES:
                yield _Use(node=node, key=key, path=path, scheme=scheme, bucket=rest.partition("/")[0])


def _may_name_urls(node: Node) -> bool:
    """Whether the config can hold a URL at all, found out without building it, which takes five times as long."""
    if "://" in node.output_path or any("://" in other.output_path for other in node.dependencies):
        return True
    stack: list[Any] = [node.step.config]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            if "://" in value:
                return True
        elif isinstance(value, ExecutorStep):
            # What is only referred to is no dependency, so its path is looked at here.
            if "://" in (cast("ExecutorStep[Any]", value).override_output_path or ""):
                return True
        elif type(value) not in ATOM_TYPES:
            stack.extend(child for _, child in _children(value))
    return False


def _find_urls(key: str, value: Any, found: list[tuple[str, str]]) -> None:
    """Append the strings in `value` that may be URLs to `found`, with their dotted keys."""
    if isinstance(value, str):
        if "://" in value:
            found.append((key, value))
        return
    for name, child in _children(value):
        if isinstance(child, str):
            if "://" not in child:
                continue
        elif type(child) in ATOM_TYPES:
            continue
        _find_urls(f"{key}.{name}" if key else str(name), child, found)


def _children(value: Any) -> Iterable[tuple[Any, Any]]:
    names = field_names(value.__class__)
    if names is not None:
        return [(name, getattr(value, name)) for name in names]
    if isinstance(value, dict):
        return cast("dict[Any, Any]", value).items()
    if isinstance(value, (list, tuple, set, frozenset)):
        return [(f"[{index}]", child) for index, child in enumerate(cast("Iterable[Any]", value))]
    return ()


def _bucket_regions(text: str) -> Mapping[str, str]:
    regions: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        bucket, separator, region = (part.strip() for part in pair.partition("="))
        if not (bucket and separator and region):
            raise PlanError(f"{BUCKET_REGIONS_VARIABLE} must be pairs bucket=region with commas between, got {pair!r}")
        regions[bucket] = region
    return regions


def _google_region() -> str | None:
    try:
        from rigging.filesystem.cluster_config import marin_region

        return marin_region()
    except (ImportError, OSError, ValueError) as error:
        logger.debug("the region of this process is unknown: %s", error)
        return None


def _google_bucket_region(bucket: str) -> str | None:
    try:
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError
        from rigging.filesystem.cluster_config import get_bucket_location
    except ImportError as error:
        logger.debug("the region of the bucket %s is unknown: %s", bucket, error)
        return None
    try:
        return get_bucket_location(bucket)
    except (GoogleAPIError, GoogleAuthError, OSError, ValueError) as error:
        logger.debug("the region of the bucket %s is unknown: %s", bucket, error)
        return None
