"""Runs peers in turn, each run in a fresh process and a fresh folder."""

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from executor_peers.peers import HERE, Peer

SHAPES = ("chain", "fan-out")

_REPEATED_BELOW_SECONDS = 20


@dataclass(kw_only=True)
class Figures:
    """What one peer took for one shape and size: a figure for each round."""

    cold: list[dict[str, float]] = field(default_factory=list)
    warm: list[dict[str, float]] = field(default_factory=list)
    not_run: str = ""
    """Why there are none."""

    def best(self, run: str, unit: str, steps: int = 1) -> float | None:
        """The least of the rounds, in milliseconds per step; None where there is none."""
        rounds = self.cold if run == "cold" else self.warm
        return min(figures[unit] for figures in rounds) / steps * 1e3 if rounds else None

    @property
    def spread(self) -> float:
        """The slowest first run against the quickest."""
        walls = [figures["wall"] for figures in self.cold]
        return max(walls) / min(walls) if walls else 1.0


@dataclass(kw_only=True)
class Comparison:
    """All figures, and what was measured."""

    peers: Sequence[Peer]
    sizes: Sequence[int]
    rounds: int
    limit_seconds: float
    """What would take longer, judging by the next smaller size, is not run."""
    of: dict[tuple[str, str, int], Figures] = field(default_factory=dict)
    """By key of the peer, shape and size."""
    versions: dict[str, str] = field(default_factory=dict)

    def measure(self, environments: Path) -> None:
        """Fill in the figures; peers take turns, in an order that turns round, so that no load meets one of them."""
        pythons = {peer.key: peer.make_environment(environments) for peer in self.peers}
        for shape in SHAPES:
            for size in self.sizes:
                for peer in self.peers:
                    self.of[peer.key, shape, size] = Figures(not_run=self._obstacle(peer, shape, size))
                for round_number in range(self.rounds):
                    for peer in self.peers if round_number % 2 == 0 else reversed(self.peers):
                        self._round(peer, pythons[peer.key], shape, size)

    def _obstacle(self, peer: Peer, shape: str, size: int) -> str:
        """Why `peer` is not run; its largest size that was run tells how long this one would take."""
        if shape == "chain" and peer.too_long_chain is not None and size >= peer.too_long_chain:
            return f"it raises RecursionError for a chain of {peer.too_long_chain} already"
        for smaller in reversed([it for it in self.sizes if it < size]):
            wall = self.of[peer.key, shape, smaller].best("cold", "wall", smaller)
            if wall is not None:
                estimate = wall / 1e3 * size
                return f"it would take about {estimate:.0f} s" if estimate > self.limit_seconds else ""
        return ""

    def _round(self, peer: Peer, python: Path, shape: str, size: int) -> None:
        figures = self.of[peer.key, shape, size]
        if figures.not_run or (figures.cold and figures.cold[-1]["wall"] > _REPEATED_BELOW_SECONDS):
            return
        with tempfile.TemporaryDirectory(prefix="marin-benchmark-") as folder:
            arguments = [str(python), str(HERE / peer.script), shape, str(size), folder]
            try:
                figures.cold.append(self._run(peer, arguments))
                if peer.keeps_results:
                    figures.warm.append(self._run(peer, arguments))
            except RunFailedError as error:
                figures.not_run = str(error)
                figures.cold.clear()
                figures.warm.clear()

    def _run(self, peer: Peer, arguments: list[str]) -> dict[str, float]:
        figures = run_measured(arguments, timeout=4 * self.limit_seconds)
        self.versions[peer.title] = figures.pop("version")
        return figures


class RunFailedError(Exception):
    """A measured program has failed; the message ends in its last line."""


def run_measured(arguments: Sequence[str], timeout: float | None = None) -> dict[str, Any]:
    """What a measured program has written to the file that is its last argument.

    Raises:
        RunFailedError: it has failed.
    """
    # Settings of a user's own runs would lead ours elsewhere.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MARIN_", "PYTHON"))}
    with tempfile.TemporaryDirectory(prefix="marin-benchmark-") as folder:
        result = Path(folder, "result.json")
        try:
            ended = subprocess.run(
                [*arguments, str(result)], capture_output=True, text=True, env=environment, timeout=timeout
            )
        except subprocess.TimeoutExpired as error:
            raise RunFailedError(f"it was stopped after {timeout:.0f} s") from error
        if ended.returncode:
            last_line = (ended.stderr.strip().splitlines() or ["no message"])[-1]
            raise RunFailedError(f"it failed with {last_line[:200]}")
        return json.loads(result.read_text())
