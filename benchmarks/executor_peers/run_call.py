"""The floor: the bodies, called one after the other. Nothing is kept, so that a second run would do all again."""

from pathlib import Path

from measured import OUTPUT, body, measure


def run(shape: str, size: int, folder: Path) -> None:
    """Call the bodies."""
    for index in range(size):
        body(f"{folder}/{OUTPUT}-{index}.txt")


if __name__ == "__main__":
    measure(run)
