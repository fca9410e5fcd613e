"""doit, serially as by default: tasks with a target each, identified by a value in `uptodate`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from doit.api import run_tasks
from doit.cmd_base import ModuleTaskLoader
from doit.tools import config_changed
from measured import CHAIN, OUTPUT, body, measure

# The quickest of its back ends here; like the others, it is written once, when the run ends.
BACKEND = "sqlite3"


def run(shape: str, size: int, folder: Path) -> None:
    """Run the tasks; doit's own file lies beside the outputs."""

    def task_step() -> Iterator[dict[str, Any]]:
        for index in range(size):
            target = f"{folder}/{OUTPUT}-{index}.txt"
            yield {
                "name": str(index),
                "actions": [(body, [target])],
                "targets": [target],
                "task_dep": [f"step:{index - 1}"] if shape == CHAIN and index else [],
                "uptodate": [config_changed({"index": index})],
            }

    settings = {"backend": BACKEND, "dep_file": str(folder / "doit.db"), "reporter": "zero", "verbosity": 0}
    if run_tasks(ModuleTaskLoader({"task_step": task_step}), {"step": {}}, {"GLOBAL": settings}):
        raise RuntimeError("doit has failed")


if __name__ == "__main__":
    measure(run, "doit")
