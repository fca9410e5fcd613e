"""Times the README's main job, the start of the command line, imports, and the round trip of a job.

    uv run python benchmarks/foundation.py [--skip-cluster]

prints markdown tables. Every figure stands beside a peer that was measured in the same run.
"""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

from fray.types import Entrypoint

from marin.cluster.connect import Cluster, connect
from marin.cluster.jobs import JobSpec

ROOT = Path(__file__).parents[1]
MARIN = [sys.executable, "-m", "marin.cli"]


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--skip-cluster", action="store_true", help="leave out what runs on iris-local")
    with_cluster = not parser.parse_args().skip_cluster
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start\n")
    print_starts()
    print_main_job(with_cluster)
    print_round_trips(with_cluster)


def print_starts() -> None:
    """CPU of a start, the best of seven, against a bare interpreter."""
    starts = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "python -c 'import click, fsspec'": [sys.executable, "-c", "import click, fsspec"],
        "marin --help": [*MARIN, "--help"],
        "marin plugins": [*MARIN, "plugins"],
        "import marin.cluster.connect": [sys.executable, "-c", "import marin.cluster.connect"],
        "import marin.execution.executor": [sys.executable, "-c", "import marin.execution.executor"],
    }
    times = {name: min(cpu_seconds(command) for _ in range(7)) for name, command in starts.items()}
    bare = times["python -c pass"]
    print("| start of a process | CPU s | against a bare interpreter |\n|---|---|---|")
    for name, seconds in times.items():
        print(f"| `{name}` | {seconds:.3f} | {seconds / bare:.1f}x |")
    print()


def print_main_job(with_cluster: bool) -> None:
    """Wall time of the main job: first run, and the run after it."""
    print("| main job | first run, s | second run, s | second against first |\n|---|---|---|---|")
    for cluster in ("local", "iris-local") if with_cluster else ("local",):
        with tempfile.TemporaryDirectory(prefix="marin-benchmark-") as prefix:
            script = str(ROOT / "examples/quality_filter.py")
            command = [*MARIN, "run", script, "--prefix", prefix, "--cluster", cluster]
            first, second = wall_seconds(command), wall_seconds(command)
        print(f"| `{cluster}` | {first:.1f} | {second:.2f} | {second / first:.3f}x |")
    print()


def print_round_trips(with_cluster: bool) -> None:
    """From submission to the end of a job that does nothing, against the pools of the standard library."""
    rows: dict[str, list[float]] = {}
    with ThreadPoolExecutor() as threads:
        rows["`concurrent.futures` threads"] = timed(200, lambda: threads.submit(nothing).result())
    with connect("local") as cluster:
        rows["job on `local`"] = timed(200, lambda: run_job(cluster))
    with ProcessPoolExecutor() as processes:
        rows["`concurrent.futures` processes (started)"] = timed(200, lambda: processes.submit(nothing).result())
    rows["a fresh `python -c pass`"] = timed(20, lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))
    if with_cluster:
        with connect("iris-local") as cluster:
            run_job(cluster)
            rows["job on `iris-local`"] = timed(20, lambda: run_job(cluster))
    print("| round trip | median, ms | worst, ms |\n|---|---|---|")
    for name, seconds in rows.items():
        print(f"| {name} | {statistics.median(seconds) * 1e3:.2f} | {max(seconds) * 1e3:.2f} |")


def nothing() -> None:
    """What a job that does nothing does."""


def run_job(cluster: Cluster) -> None:
    """Submit a job that does nothing, and wait for it."""
    cluster.submit(JobSpec(name="nothing", entrypoint=Entrypoint.from_callable(nothing))).wait()


def timed(repetitions: int, action: Callable[[], object]) -> list[float]:
    """Wall seconds of each of several calls of `action`."""
    seconds: list[float] = []
    for _ in range(repetitions):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return seconds


def wall_seconds(command: Sequence[str]) -> float:
    """Wall seconds of `command`, which must succeed."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def cpu_seconds(command: Sequence[str]) -> float:
    """Seconds of processor time, user and system, that `command` and its children take."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
