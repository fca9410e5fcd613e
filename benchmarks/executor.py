"""Times the executor beside others that keep results, all in one run on one machine.

    uv run python benchmarks/executor.py [--quick] [--peers doit,redun] [--sizes 10,100,1000] [--plot FILE.svg]

prints markdown tables. Each peer gets an environment of its own, outside the workspace's. Every run is a fresh process
with a fresh folder; what is timed is to build the steps and to run them, without starting Python and importing.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from executor_peers.comparison import SHAPES, Comparison, run_measured
from executor_peers.peers import HERE, PEERS, Peer

PLANNED_STEPS = 100_000
COUNTED_STEPS = 20
IMPORT_ROUNDS = 7
OURS = "marin"

_USAGE = """
import resource
usage = resource.getrusage(resource.RUSAGE_SELF)
lines = open('/proc/self/status').read().splitlines()
print(usage.ru_utime + usage.ru_stime, next(int(line.split()[1]) / 1024 for line in lines if line.startswith('VmHWM')))
"""


def main() -> None:
    """Print all tables."""
    arguments = parse_arguments()
    print_machine()
    comparison = Comparison(
        peers=[peer for peer in PEERS if peer.key in arguments.peers],
        sizes=arguments.sizes,
        rounds=1 if arguments.quick else arguments.rounds,
        limit_seconds=15 if arguments.quick else 120,
    )
    comparison.measure(arguments.environments)
    print(f"Versions: {', '.join(f'{title} {it}' for title, it in comparison.versions.items() if it)}\n")
    for shape in SHAPES:
        print_cold(comparison, shape)
    print_warm(comparison)
    planning, imports, operations = planning_figures(), import_figures(), operation_figures()
    targets = [
        *comparison_targets(comparison),
        *planning_targets(planning),
        *import_targets(imports),
        *operation_targets(operations),
    ]
    print_targets(targets)
    print(f"Load {os.getloadavg()[0]:.1f} at the end")
    if arguments.plot:
        plot(comparison, arguments.plot)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    keys = [peer.key for peer in PEERS]
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "marin-benchmarks"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round, and nothing that takes more than 15 s")
    parser.add_argument("--peers", type=listed, default=keys, help=f"some of {','.join(keys)}")
    parser.add_argument("--sizes", type=numbers, default=[1, 10, 100, 1000], help="numbers of steps, rising")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each, of which the best counts")
    parser.add_argument("--plot", type=Path, help="where to draw the first runs, as SVG")
    parser.add_argument("--environments", type=Path, default=cache, help="where the peers' environments are kept")
    arguments = parser.parse_args()
    unknown = set(arguments.peers) - set(keys)
    if unknown:
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    return arguments


def listed(text: str) -> list[str]:
    """The parts of `text` between commas."""
    return text.split(",")


def numbers(text: str) -> list[int]:
    """The numbers in `text` between commas, rising."""
    return sorted(int(part) for part in text.split(","))


def print_machine() -> None:
    """What ran this, and how busy it was."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].split(":")[1].strip() if models else platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    kind = subprocess.run(
        ["df", "--output=fstype", tempfile.gettempdir()], check=True, capture_output=True, text=True
    ).stdout.split()[-1]
    print(f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, files on {kind}, Linux {platform.release()}, ", end="")
    print(f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f} at the start\n", flush=True)


def print_cold(comparison: Comparison, shape: str) -> None:
    """What first runs take per step."""
    print(f"First run, {shape}: wall time per step in ms (processor time)\n")
    print(f"| | {' | '.join(f'{size:,} steps' if size > 1 else '1 step' for size in comparison.sizes)} |")
    print("|---" * (1 + len(comparison.sizes)) + "|")
    for peer in comparison.peers:
        cells = [cell(comparison, peer, shape, size) for size in comparison.sizes]
        print(f"| {peer.title} | {' | '.join(cells)} |")
    print()
    for peer in comparison.peers:
        for size in comparison.sizes:
            figures = comparison.of[peer.key, shape, size]
            if figures.not_run:
                print(f"- {peer.title}, {size:,} steps: no figure, because {figures.not_run}.")
    spread = max(figures.spread for (_, its_shape, _), figures in comparison.of.items() if its_shape == shape)
    rounds = f"Best of {comparison.rounds}, or the only run if it took over 20 s; " if comparison.rounds > 1 else ""
    print(
        f"\n{rounds}the slowest round took at most {spread:.1f} times the quickest.\n" if rounds else "\nOne round.\n"
    )


def cell(comparison: Comparison, peer: Peer, shape: str, size: int) -> str:
    """Wall and processor time per step of a first run."""
    figures = comparison.of[peer.key, shape, size]
    wall, cpu = figures.best("cold", "wall", size), figures.best("cold", "cpu", size)
    return "-" if wall is None or cpu is None else f"{digits(wall)} ({digits(cpu)})"


def print_warm(comparison: Comparison) -> None:
    """What a run takes that finds everything done."""
    print("Second run, in a new process: processor time per step in ms, at the largest size that was run\n")
    print("| | chain | fan-out |\n|---|---|---|")
    for peer in comparison.peers:
        if peer.keeps_results:
            print(f"| {peer.title} | {' | '.join(warm_cell(comparison, peer, shape) for shape in SHAPES)} |")
    print()


def warm_cell(comparison: Comparison, peer: Peer, shape: str) -> str:
    """Processor time per step of a second run, with the size where it is not the largest of all."""
    for size in reversed(comparison.sizes):
        cpu = comparison.of[peer.key, shape, size].best("warm", "cpu", size)
        if cpu is not None:
            return digits(cpu) + ("" if size == comparison.sizes[-1] else f" (of {size:,} steps)")
    return "-"


def digits(value: float) -> str:
    """`value` with what its size makes worth reading."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value < 1 else f"{value:.1f}"


def planning_figures() -> dict[str, float]:
    """What the plan of a long chain takes: the best of three."""
    rounds: list[dict[str, float]] = []
    for _ in range(3):
        with tempfile.TemporaryDirectory(prefix="marin-benchmark-") as folder:
            rounds.append(run_measured([sys.executable, str(HERE / "run_planning.py"), str(PLANNED_STEPS), folder]))
    return {name: min(figures[name] for figures in rounds) for name in rounds[0]}


def import_figures() -> dict[str, float]:
    """What importing takes over a bare interpreter: the best of several."""

    def best(statement: str) -> list[float]:
        command = [sys.executable, "-c", statement + _USAGE]
        outputs = [subprocess.run(command, check=True, capture_output=True).stdout for _ in range(IMPORT_ROUNDS)]
        return [min(column) for column in zip(*([float(part) for part in it.split()] for it in outputs), strict=True)]

    bare, loaded = best(""), best("import marin.execution.executor")
    return {"cpu": loaded[0] - bare[0], "megabytes": loaded[1] - bare[1]}


def operation_figures() -> dict[str, dict[str, float]]:
    """Storage operations that a step adds to a first and to a second run."""
    with tempfile.TemporaryDirectory(prefix="marin-benchmark-") as folder:
        return run_measured([sys.executable, str(HERE / "run_operations.py"), str(COUNTED_STEPS), folder])


Target = tuple[str, str, str, bool]
"""What is measured, the target, the figure, and whether the target is met."""


def comparison_targets(comparison: Comparison) -> list[Target]:
    """Those that stand against other figures of this run, each at the largest size that both have."""
    targets: list[Target] = []
    for shape in SHAPES:
        if pair := common(comparison, "doit", shape, "cold", "wall"):
            ours, theirs, size = pair
            targets.append((f"wall, {shape} of {size:,}, against doit", "<= 1.2x", *at_most(ours / theirs, 1.2, "x")))
        if pair := common(comparison, "raw", shape, "cold", "cpu"):
            ours, theirs, size = pair
            bound = 1.5 * theirs + 0.5
            title = f"processor time per step, {shape} of {size:,}, against raw files"
            targets.append((title, f"<= 1.5x + 0.5 ms = {bound:.2f} ms", *at_most(ours, bound, " ms")))
        if pair := common(comparison, OURS, shape, "warm", "cpu"):
            title = f"processor time per step, second run, {shape} of {pair[2]:,}"
            targets.append((title, "<= 0.05 ms", *at_most(pair[0], 0.05, " ms")))
    if pair := common(comparison, "marin-pypi", "chain", "cold", "wall"):
        ratio = pair[1] / pair[0]
        title = f"speed, chain of {pair[2]:,}, against marin-core of PyPI"
        targets.append((title, ">= 100x", f"{ratio:.0f}x", ratio >= 100))
    return targets


def common(comparison: Comparison, key: str, shape: str, run: str, unit: str) -> tuple[float, float, int] | None:
    """Our figure, that of the peer `key`, and the largest size that both have; None if they have none."""
    for size in reversed(comparison.sizes):
        pair = [comparison.of[it, shape, size] for it in (OURS, key) if (it, shape, size) in comparison.of]
        values = [figures.best(run, unit, size) for figures in pair]
        if len(values) == 2 and values[0] is not None and values[1] is not None:
            return values[0], values[1], size
    return None


def planning_targets(planning: dict[str, float]) -> list[Target]:
    """Of the plan of a long chain."""
    title = f"plan of a chain of {PLANNED_STEPS:,} steps"
    return [
        (f"{title}: versions and paths alone", "< 3 s", *at_most(planning["graph"], 3, " s")),
        (f"{title}: with the look for results that are there", "< 3 s", *at_most(planning["plan"], 3, " s")),
        (f"{title}: most memory of the process", "-", f"{planning['megabytes']:.0f} MB", True),
    ]


def import_targets(imports: dict[str, float]) -> list[Target]:
    """Of `import marin.execution.executor`."""
    title = "`import marin.execution.executor`, over a bare interpreter"
    return [
        (f"{title}: processor time", "< 0.3 s", *at_most(imports["cpu"], 0.3, " s")),
        (f"{title}: memory", "< 60 MB", *at_most(imports["megabytes"], 60, " MB")),
    ]


def operation_targets(operations: dict[str, dict[str, float]]) -> list[Target]:
    """Of what a step asks of the storage."""
    targets: list[Target] = []
    for run, bound in (("first", 7), ("second", 1)):
        names = ", ".join(f"{name} {count:.3g}" for name, count in sorted(operations[run].items()))
        total = sum(operations[run].values())
        title = f"storage operations per step, {run} run ({names})"
        targets.append((title, f"<= {bound}", f"{total:.3g}", total <= bound))
    return targets


def at_most(value: float, bound: float, unit: str) -> tuple[str, bool]:
    """`value` with its unit, and whether it keeps to `bound`."""
    return f"{digits(value)}{unit}", value <= bound


def print_targets(targets: Sequence[Target]) -> None:
    """What was set out to be reached, and what was measured."""
    print("| what | target | measured | |\n|---|---|---|---|")
    for title, target, measured, is_met in targets:
        print(f"| {title} | {target} | {measured} | {'' if target == '-' else 'met' if is_met else 'missed'} |")
    print()


def plot(comparison: Comparison, path: Path) -> None:
    """Draw the first runs; matplotlib comes into an environment of its own."""
    figures: dict[str, Any] = {
        shape: {
            peer.title: {
                size: wall
                for size in comparison.sizes
                if (wall := comparison.of[peer.key, shape, size].best("cold", "wall", size)) is not None
            }
            for peer in comparison.peers
        }
        for shape in SHAPES
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as stream:
        json.dump(figures, stream)
        stream.flush()
        uv = [
            os.environ.get("UV", "uv"),
            "run",
            "--quiet",
            "--isolated",
            "--no-project",
            "--with",
            "matplotlib==3.10.*",
        ]
        subprocess.run([*uv, "python", str(HERE / "plot.py"), stream.name, str(path)], check=True)


if __name__ == "__main__":
    main()
