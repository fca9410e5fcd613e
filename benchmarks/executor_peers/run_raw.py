"""The least that an executor with states on disk can do: a folder, a lock, two states, a record, and no scheduler."""

import json
import os
from pathlib import Path

from measured import OUTPUT, body, measure


def run(shape: str, size: int, folder: Path) -> None:
    """Run the steps one after the other; those whose state says so are done."""
    for index in range(size):
        output = f"{folder}/step-{index}"
        if not is_done(output):
            run_step(output, index)


def is_done(output: str) -> bool:
    """Whether the step whose output is `output` has succeeded."""
    try:
        with open(f"{output}/.status") as stream:
            return stream.read() == "SUCCESS"
    except FileNotFoundError:
        return False


def run_step(output: str, index: int) -> None:
    """Run one step under a lock."""
    os.mkdir(output)
    lock = f"{output}/.lock"
    os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    replace(f"{output}/.status", "RUNNING")
    replace(f"{output}/.record", json.dumps({"name": f"step-{index}", "config": {"index": index}}))
    body(f"{output}/{OUTPUT}.txt")
    replace(f"{output}/.status", "SUCCESS")
    os.unlink(lock)


def replace(path: str, text: str) -> None:
    """Write `path` whole or not at all."""
    temporary = f"{path}.tmp"
    with open(temporary, "w") as stream:
        stream.write(text)
    os.replace(temporary, path)


if __name__ == "__main__":
    measure(run)
