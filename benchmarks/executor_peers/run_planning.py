"""Planning a chain of the workspace's own steps: `SIZE FOLDER RESULT`."""

import json
import sys
import time
from pathlib import Path

from measured import CHAIN, cpu_seconds, peak_megabytes
from run_marin import make_steps

from marin.execution.executor import Executor


def main() -> None:
    """Write what the graph alone takes, and what the whole plan takes."""
    size, folder, result = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    steps = make_steps(CHAIN, size)
    before = peak_megabytes()
    executor = Executor(folder)
    started, cpu = time.perf_counter(), cpu_seconds()
    executor.compute_version(steps[0])
    graph = time.perf_counter() - started
    executor.run(steps, dry_run=True)
    figures = {"graph": graph, "plan": time.perf_counter() - started, "cpu": cpu_seconds() - cpu}
    result.write_text(json.dumps(figures | {"megabytes": peak_megabytes(), "added": peak_megabytes() - before}))


if __name__ == "__main__":
    main()
