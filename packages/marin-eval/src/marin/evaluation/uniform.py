"""A scoring engine that knows nothing: every token is equally probable. Its scores are chance level."""

import math
from collections.abc import Sequence

from marin.errors import UsageError
from marin.evaluation.engines import Score, ScoringRequest


class UniformEngine:
    """Gives each token of a vocabulary of V tokens the log-probability -ln V."""

    def __init__(self, vocabulary_size: int) -> None:
        self._vocabulary_size = vocabulary_size

    @property
    def vocabulary_size(self) -> int:
        """V: token ids are below it."""
        return self._vocabulary_size

    def score(self, requests: Sequence[ScoringRequest]) -> list[Score]:
        """One score per request, in order.

        Raises:
            UsageError: a token id is not in the vocabulary.
        """
        return [self._score(index, request) for index, request in enumerate(requests)]

    def close(self) -> None:
        """Release nothing: there is no model."""

    def _score(self, index: int, request: ScoringRequest) -> Score:
        highest = max(request.context + request.continuation)
        if highest >= self._vocabulary_size:
            raise UsageError(f"request {index}: token ids must be below {self._vocabulary_size}, got {highest}")
        log_prob = -math.log(self._vocabulary_size)
        # All tokens are tied, so the greedy one is that of the lowest id.
        return Score(
            log_probs=(log_prob,) * len(request.continuation),
            is_greedy=not any(request.continuation),
        )


class UniformBackend:
    """The plug-in `uniform`."""

    def open(self, model: str) -> UniformEngine:
        """The engine for `model`, the size of the vocabulary in decimal: `50257`.

        Raises:
            UsageError: it is no whole number of at least 1.
        """
        if not (model.isascii() and model.isdigit() and int(model) > 0):
            raise UsageError(f"the model of 'uniform' is the size of its vocabulary, such as 50257; got {model!r}")
        return UniformEngine(int(model))


BACKEND = UniformBackend()
