"""Draws wall time per step over the number of steps: `FIGURES OUTPUT`, both paths; needs matplotlib.

Colours and greys are chosen to be readable on white and on near-black, because the picture has no background.
"""

import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

GREY = "#808080"
COLOURS = ("#d9480f", "#3b82c4", "#2e9e6b", "#9c6ade", "#a8840c", "#d1579b", "#1d919e", "#7d8a2e")
LABEL_GAP = 0.3
"""Between labels, in powers of ten."""


def main() -> None:
    """Write the picture."""
    figures = json.loads(Path(sys.argv[1]).read_text())
    mpl.rcParams.update(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "marin",
            "font.family": "sans-serif",
            "font.size": 10,
            "text.color": GREY,
            "axes.edgecolor": GREY,
            "axes.labelcolor": GREY,
            "xtick.color": GREY,
            "ytick.color": GREY,
        }
    )
    figure, panels = plt.subplots(1, 2, figsize=(10, 4.6), sharey=True)
    for panel, (shape, lines) in zip(panels, figures.items(), strict=True):
        draw(panel, shape, lines)
    panels[0].set_ylabel("wall time per step, ms")
    figure.tight_layout()
    figure.savefig(sys.argv[2], transparent=True, metadata={"Date": None, "Creator": None})
    # Trailing spaces, which matplotlib leaves, would be changed by the hooks of the repository.
    path = Path(sys.argv[2])
    path.write_text(re.sub(r"[ \t]+$", "", path.read_text(), flags=re.MULTILINE))


def draw(panel: Any, shape: str, lines: dict[str, dict[str, float]]) -> None:
    """One panel: a line for each peer, with its name at the end."""
    panel.set(xscale="log", yscale="log", xlabel="steps", title=shape)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(True, which="major", color=GREY, alpha=0.25, linewidth=0.6)
    ends: list[tuple[float, float, str, str]] = []
    for colour, (title, values) in zip(COLOURS, lines.items(), strict=False):
        is_ours = title.startswith("**")
        sizes = [int(size) for size in values]
        panel.plot(sizes, values.values(), color=colour, linewidth=3 if is_ours else 1.5, marker="o", markersize=4)
        if sizes:
            ends.append((sizes[-1], list(values.values())[-1], title, colour))
    largest = max((end[0] for end in ends), default=1)
    panel.set_xlim(0.8, largest * 32)
    panel.set_xticks([10**power for power in range(int(math.log10(largest)) + 1)])
    panel.minorticks_off()
    for size in {end[0] for end in ends}:
        place_labels(panel, [end for end in ends if end[0] == size])


def place_labels(panel: Any, ends: list[tuple[float, float, str, str]]) -> None:
    """Write the names beside the ends of their lines, far enough from each other."""
    lowest = -math.inf
    placed: list[list[Any]] = []
    for size, value, title, colour in sorted(ends, key=lambda end: end[1]):
        lowest = max(math.log10(value), lowest + LABEL_GAP)
        placed.append([size, lowest, title, colour])
    for size, height, title, colour in placed:
        is_ours = title.startswith("**")
        panel.text(
            size * 1.25, 10**height, title.strip("*"), color=colour, va="center", weight="bold" if is_ours else "normal"
        )


if __name__ == "__main__":
    main()
