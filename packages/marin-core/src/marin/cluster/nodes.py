"""The machines of a cluster."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One machine that runs tasks."""

    id: str
    """Name of the machine within its cluster."""
    address: str
    """Where its worker answers; empty for the local back end."""
    healthy: bool
    """Whether the cluster counts it as alive."""
    cpu: float
    """Processor cores that jobs may ask for."""
    memory_bytes: int
    """Memory that jobs may ask for, in bytes."""
    accelerator: str
    """Its devices, such as `8xH100` or `v5litepod-16`; `cpu` where it has none."""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the scheduler matches on: region, zone, preemptible and the like."""


def this_machine() -> Node:
    """The machine that this process runs on, without its accelerators."""
    return Node(
        id=os.uname().nodename,
        address="",
        healthy=True,
        cpu=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        accelerator="cpu",
    )
