"""redun with its local executor and a SQLite file."""

import logging
from pathlib import Path

from measured import CHAIN, OUTPUT, body, measure
from redun import Scheduler, task
from redun.config import Config

redun_namespace = "benchmark"


@task()
def step(path: str, index: int, previous: int | None) -> int:
    """One step."""
    body(path)
    return index


@task()
def every(results: list[int]) -> int:
    """What a fan-out ends in."""
    return len(results)


def run(shape: str, size: int, folder: Path) -> None:
    """Run the expression that holds all steps."""
    logging.disable(logging.INFO)
    scheduler = Scheduler(config=Config({"backend": {"db_uri": f"sqlite:///{folder}/redun.db"}}))
    scheduler.load()
    steps = []
    for index in range(size):
        previous = steps[-1] if shape == CHAIN and steps else None
        steps.append(step(f"{folder}/{OUTPUT}-{index}.txt", index, previous))
    scheduler.run(steps[-1] if shape == CHAIN else every(steps))


if __name__ == "__main__":
    measure(run, "redun")
