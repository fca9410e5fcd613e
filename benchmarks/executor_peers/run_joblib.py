"""joblib.Memory: a cache of calls, without a graph; a step that waits takes the result of the one before."""

from pathlib import Path

from joblib import Memory
from measured import CHAIN, OUTPUT, body, measure


def step(path: str, index: int, previous: int | None) -> int:
    """One step."""
    body(path)
    return index


def run(shape: str, size: int, folder: Path) -> None:
    """Call the cached function once for each step."""
    cached = Memory(folder / "cache", verbose=0).cache(step)
    previous = None
    for index in range(size):
        result = cached(f"{folder}/{OUTPUT}-{index}.txt", index, previous)
        previous = result if shape == CHAIN else None


if __name__ == "__main__":
    measure(run, "joblib")
