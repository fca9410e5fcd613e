"""What all measured programs share: the body of a step, and how a run is timed.

A program is started as `PROGRAM SHAPE SIZE FOLDER RESULT`: it runs SIZE steps once and writes what that took to RESULT.
Started again with the same FOLDER, it is to find that there is nothing to do.
"""

import importlib.metadata
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

CHAIN = "chain"
"""Each step waits for the one before it; in the other shape, `fan-out`, none waits for any other."""

OUTPUT = "done"
"""The name of every file that a step writes starts with this."""


def body(path: str) -> None:
    """What every step does: write a line to `path`."""
    with open(path, "w") as stream:
        stream.write("done\n")


def measure(run: Callable[[str, int, Path], None], distribution: str | None = None) -> None:
    """Time `run(shape, size, folder)` as the command line says; imports are over by then.

    Args:
        run: builds the steps, runs them and returns when all are done.
        distribution: whose version is reported.

    Raises:
        RuntimeError: not every step has run, or one has run again that was done.
    """
    shape, size, folder, result = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
    done_before = len(outputs(folder))
    started_at, wall, cpu = time.time(), time.perf_counter(), cpu_seconds()
    run(shape, size, folder)
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    written = outputs(folder)
    if len(written) != size:
        raise RuntimeError(f"{len(written)} of {size} steps have run")
    if done_before and any(path.stat().st_mtime > started_at for path in written):
        raise RuntimeError("steps that were done have run again")
    version = importlib.metadata.version(distribution) if distribution else ""
    result.write_text(json.dumps({"wall": wall, "cpu": cpu, "version": version}))


def cpu_seconds() -> float:
    """Processor time, user and system, of this process and of those it has waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def outputs(folder: Path) -> list[Path]:
    """The files that steps have written anywhere below `folder`."""
    found = os.walk(folder)
    return [Path(parent, name) for parent, _, names in found for name in names if name.startswith(OUTPUT)]


def peak_megabytes() -> float:
    """The most memory that this process has had, without what its parent had before it started."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
