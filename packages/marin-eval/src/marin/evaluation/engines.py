"""What a scoring engine is: token ids in, log-probabilities out; the plug-in group `marin.eval.engines`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from marin.errors import UsageError

ENGINE_GROUP = "marin.eval.engines"
"""Entry-point group; each entry is a `ScoringBackend`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoringRequest:
    """Token ids whose log-probabilities are asked for. Engines add nothing, no beginning-of-sequence token either.

    Raises:
        UsageError: there is nothing to score, or an id is negative.
    """

    context: tuple[int, ...]
    """Token ids that come before; may be empty."""
    continuation: tuple[int, ...]
    """Token ids that are scored, at least one."""

    def __post_init__(self) -> None:
        if not self.continuation:
            raise UsageError("a scoring request needs at least one token to score; its continuation is empty")
        lowest = min(self.context + self.continuation)
        if lowest < 0:
            raise UsageError(f"token ids must be at least 0, got {lowest}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """What a model makes of one continuation."""

    log_probs: tuple[float, ...]
    """Natural logarithm of the probability of each continuation token, given all tokens before it."""
    is_greedy: bool
    """Whether each continuation token is the one of highest probability; of equal ones, that of the lowest id."""

    @property
    def total(self) -> float:
        """Log-probability of the whole continuation, in nats."""
        return math.fsum(self.log_probs)


@runtime_checkable
class ScoringEngine(Protocol):
    """A loaded model that scores token ids."""

    @property
    def vocabulary_size(self) -> int:
        """Token ids are below this."""
        ...

    def score(self, requests: Sequence[ScoringRequest]) -> list[Score]:
        """One score per request, in order.

        Raises:
            UsageError: a token id is not in the vocabulary, or a request is longer than the model can take.
        """
        ...

    def close(self) -> None:
        """Release the model; closing twice is harmless."""
        ...


@runtime_checkable
class ScoringBackend(Protocol):
    """A plug-in that loads models of one kind. Importing it is cheap; heavy libraries are imported by `open`."""

    def open(self, model: str) -> ScoringEngine:
        """The engine for `model`: a path or name that this kind of engine understands.

        Raises:
            UsageError: `model` is nothing that it can load.
        """
        ...
