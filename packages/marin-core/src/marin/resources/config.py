"""`ResourceConfig`: what one replica of a job asks for, as data."""

import difflib
from dataclasses import dataclass
from typing import Any, get_args

import humanfriendly
from fray import types as fray

from marin.errors import UsageError

GPU_TYPES: tuple[str, ...] = tuple(sorted(set(get_args(fray.GpuType)) - {"auto"}))
"""Names of the GPUs that a job can ask for."""

TPU_TYPES: tuple[str, ...] = tuple(topology.name for topology in fray.TPU_TOPOLOGIES)
"""Names of the TPU slices that a job can ask for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceConfig:
    """Resources of one replica: processor, memory, disk, accelerator, and where it may run.

    Raises:
        UsageError: a value is out of range, a size cannot be read, or the accelerator is not known.

    Example:
        >>> ResourceConfig(cpu=4, ram="16g", accelerator="H100", accelerator_count=8).accelerator_descriptor()
        '8xH100'
    """

    cpu: float | None = None
    """Processor cores; None asks for 1, or for half of the host's on a TPU."""
    ram: str | None = None
    """Memory such as `512m` or `16g` (powers of 1024); None asks for 4g, or for half of the host's on a TPU."""
    disk: str = "8g"
    """Scratch space, in the same form."""
    accelerator: str | None = None
    """A GPU (`H100`) or a TPU slice (`v5litepod-16`); None is a job without one."""
    accelerator_count: int = 1
    """GPUs of one replica; a TPU slice brings its own number of chips and takes 1 here."""
    preemptible: bool = True
    """Whether the job may run on machines that can be taken away; False for coordinators."""
    regions: tuple[str, ...] = ()
    """Regions the job may run in; empty for the parent job's, or any."""
    zone: str | None = None
    """The one zone the job may run in."""

    def __post_init__(self) -> None:
        if self.cpu is not None and self.cpu <= 0:
            raise UsageError(f"cpu must be above 0, got {self.cpu}")
        for name, size in (("ram", self.ram), ("disk", self.disk)):
            if size is not None:
                _check_size(name, size)
        if self.accelerator_count < 1:
            raise UsageError(f"accelerator_count must be at least 1, got {self.accelerator_count}")
        if self.accelerator is None:
            return
        if self.accelerator not in (*GPU_TYPES, *TPU_TYPES):
            raise UsageError(_unknown_accelerator(self.accelerator))
        if self.accelerator in TPU_TYPES and self.accelerator_count != 1:
            raise UsageError(
                f"accelerator_count must be 1 for the TPU slice {self.accelerator}, got {self.accelerator_count}: "
                "the name of the slice says how many chips it has"
            )

    def accelerator_descriptor(self) -> str:
        """A short name of the devices for messages and records: `cpu`, `8xH100`, `v5litepod-16`."""
        if self.accelerator is None:
            return "cpu"
        if self.accelerator in TPU_TYPES:
            return self.accelerator
        return f"{self.accelerator_count}x{self.accelerator}"

    def to_fray(self) -> fray.ResourceConfig:
        """The same request in Fray's terms."""
        options: dict[str, Any] = {
            "disk": self.disk,
            "preemptible": self.preemptible,
            "regions": list(self.regions) or None,
            "zone": self.zone,
        }
        if self.cpu is not None:
            options["cpu"] = self.cpu
        if self.ram is not None:
            options["ram"] = self.ram
        if self.accelerator is None:
            return fray.ResourceConfig.with_cpu(**options)
        if self.accelerator in TPU_TYPES:
            return fray.ResourceConfig.with_tpu(self.accelerator, **options)
        return fray.ResourceConfig.with_gpu(self.accelerator, self.accelerator_count, **options)


def head_resources() -> ResourceConfig:
    """Resources of a coordinator: small, and on a machine that is not taken away."""
    return ResourceConfig(cpu=1, ram="2g", preemptible=False)


def _check_size(name: str, size: str) -> None:
    try:
        parsed = humanfriendly.parse_size(size, binary=True)  # pyright: ignore[reportUnknownMemberType]  # untyped
    except humanfriendly.InvalidSize as error:
        raise UsageError(f"{name} must be a size such as 512m or 16g, got {size!r}") from error
    if parsed <= 0:
        raise UsageError(f"{name} must be above 0, got {size!r}")


def _unknown_accelerator(name: str) -> str:
    by_lower_case = {known.lower(): known for known in (*GPU_TYPES, *TPU_TYPES)}
    near = [by_lower_case[match] for match in difflib.get_close_matches(name.lower(), by_lower_case, n=1)]
    families = sorted({tpu.split("-")[0] for tpu in TPU_TYPES})
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return (
        f"accelerator {name!r} is not known{hint} Known GPUs: {', '.join(GPU_TYPES)}; "
        f"known TPU slices: {', '.join(families)} with a size, such as v5litepod-16"
    )
