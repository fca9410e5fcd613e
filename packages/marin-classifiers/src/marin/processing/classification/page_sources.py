"""Scores by source: counts, quantiles, histograms, and whether they tell documents apart."""

import json
import math
from array import array
from dataclasses import dataclass, field
from typing import Any

FINE_BINS = 4000
"""Bins of [0, 1] that scores are counted in; quantiles are the middles of bins, right within 1/8000."""
NEAR_CONSTANT_SPREAD = 0.01
"""A source is near-constant where 90 % of its scores, those from p5 to p95, lie within this."""
NEAR_CONSTANT_DOCUMENTS = 20
"""Scored documents that a source needs before it is called so."""
NAME_CHARACTERS = 160
"""Most characters of an id or a source that is shown."""


class Distribution:
    """Scores in [0, 1]: their number, mean, quantiles and histogram, in constant memory."""

    def __init__(self) -> None:
        self.counts = array("Q", bytes(8 * FINE_BINS))
        self.size = 0
        self.sum = 0.0
        self.low = math.inf
        self.high = -math.inf

    def add(self, score: float) -> None:
        """Count `score`."""
        self.counts[min(int(score * FINE_BINS), FINE_BINS - 1)] += 1
        self.size += 1
        self.sum += score
        self.low = min(self.low, score)
        self.high = max(self.high, score)

    def merge(self, other: "Distribution") -> None:
        """Count all scores of `other` as well."""
        for index, count in enumerate(other.counts):
            self.counts[index] += count
        self.size += other.size
        self.sum += other.sum
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)

    @property
    def mean(self) -> float | None:
        """Mean; None of nothing."""
        return self.sum / self.size if self.size else None

    def quantile(self, fraction: float) -> float | None:
        """The smallest score that at least `fraction` of all do not exceed, within half a bin; None of nothing."""
        if not self.size:
            return None
        wanted = max(1, math.ceil(fraction * self.size))
        below = 0
        for index, count in enumerate(self.counts):
            below += count
            if below >= wanted:
                return min(max((index + 0.5) / FINE_BINS, self.low), self.high)
        return self.high

    def bars(self, bins: int) -> list[int]:
        """Scores in each of `bins` equal bins; `bins` divides `FINE_BINS`."""
        width = FINE_BINS // bins
        return [sum(self.counts[start : start + width]) for start in range(0, FINE_BINS, width)]


@dataclass(slots=True)
class SourceNumbers:
    """What one source's documents came to."""

    name: str | None
    """The source; None for documents that name none."""
    documents: int = 0
    """Rows."""
    kept: int = 0
    """Documents that were kept."""
    labelled: int = 0
    """Scored documents that carry a label."""
    misplaced: int = 0
    """Labelled documents that the threshold puts on the wrong side."""
    scores: Distribution = field(default_factory=Distribution)
    """Their scores."""

    @property
    def near_constant(self) -> bool:
        """Whether the scores hardly tell this source's documents apart."""
        low, high = self.scores.quantile(0.05), self.scores.quantile(0.95)
        if low is None or high is None or self.scores.size < NEAR_CONSTANT_DOCUMENTS:
            return False
        return high - low < NEAR_CONSTANT_SPREAD

    def merge(self, other: "SourceNumbers") -> None:
        """Count the documents of `other` as well."""
        self.documents += other.documents
        self.kept += other.kept
        self.labelled += other.labelled
        self.misplaced += other.misplaced
        self.scores.merge(other.scores)


def source_name(source: Any) -> str | None:
    """`source` as it is shown and grouped by: a string as it is, anything else as JSON, None as None."""
    if source is None:
        return None
    name = source if isinstance(source, str) else json.dumps(source, sort_keys=True, ensure_ascii=False)
    return clip(name, NAME_CHARACTERS)


def clip(text: str, length: int) -> str:
    """`text`, cut to `length` characters with an ellipsis where it is longer."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
