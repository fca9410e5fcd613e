"""Conformance kit of the group `marin.eval.engines`.

Example:
    >>> check_scoring_backend("uniform", model="100")
"""

import math
from contextlib import closing

from marin.errors import UsageError
from marin.evaluation.engines import ENGINE_GROUP, Score, ScoringBackend, ScoringEngine, ScoringRequest
from marin.plugins.testing import check_plugin, require, require_instance

_TOLERANCE = 1e-4
"""Nats per token that batching may change."""


def check_scoring_backend(name: str, *, model: str) -> None:
    """Check the plug-in `name` with a real, small `model` of at least 8 tokens.

    Args:
        name: Its name in the group.
        model: What its `open` takes.

    Raises:
        ConformanceError: it does not do what the protocol promises.
        PluginError: it cannot be looked up or imported.
    """
    backend = check_plugin(ENGINE_GROUP, name, ScoringBackend)
    engine = backend.open(model)
    require_instance(engine, ScoringEngine, f"open({model!r})")
    with closing(engine):
        size = engine.vocabulary_size
        require(size >= 8, f"the model has {size} tokens; give one of at least 8")
        require(engine.score([]) == [], "no requests must give no scores")
        _check_batch(engine)
        _check_next_token(engine)
        _check_refusal(engine, size)
    engine.close()


def _check_batch(engine: ScoringEngine) -> None:
    requests = [
        ScoringRequest(context=(1, 2, 3), continuation=(4, 5)),
        ScoringRequest(context=(1,), continuation=(2, 3, 4, 5, 6)),
        ScoringRequest(context=(7, 6, 5, 4), continuation=(0,)),
    ]
    scores = engine.score(requests)
    require(len(scores) == len(requests), f"{len(requests)} requests gave {len(scores)} scores")
    for request, score in zip(requests, scores, strict=True):
        wanted, given = len(request.continuation), len(score.log_probs)
        require(wanted == given, f"{wanted} continuation tokens gave {given} log-probs")
        require(all(value <= 0 for value in score.log_probs), f"log-probs are at most 0, got {score.log_probs}")
        _require_close(engine.score([request])[0], score, "scored alone and in a batch")
    split = [
        ScoringRequest(context=(1, 2, 3), continuation=(4,)),
        ScoringRequest(context=(1, 2, 3, 4), continuation=(5,)),
    ]
    parts = engine.score(split)
    joined = Score(log_probs=parts[0].log_probs + parts[1].log_probs, is_greedy=all(part.is_greedy for part in parts))
    _require_close(joined, scores[0], "scored token by token and at once")


def _check_next_token(engine: ScoringEngine) -> None:
    """Scores of all next tokens form one distribution, and the greedy flag marks its largest."""
    size = min(engine.vocabulary_size, 4096)
    scores = engine.score([ScoringRequest(context=(1, 2), continuation=(token,)) for token in range(size)])
    values = [score.total for score in scores]
    greedy = [token for token, score in enumerate(scores) if score.is_greedy]
    require(len(greedy) <= 1, f"more than one next token is greedy: {greedy}")
    if size == engine.vocabulary_size:
        mass = math.fsum(map(math.exp, values))
        require(abs(mass - 1) < 1e-2, f"the probabilities of all {size} next tokens sum to {mass}, not 1")
        require(len(greedy) == 1, "no next token is greedy")
    if greedy:
        best = max(values)
        require(values[greedy[0]] >= best - _TOLERANCE, f"token {greedy[0]} is greedy, but another is more probable")


def _check_refusal(engine: ScoringEngine, size: int) -> None:
    try:
        engine.score([ScoringRequest(context=(), continuation=(size,))])
    except UsageError:
        return
    require(False, f"the token id {size} is not in the vocabulary of {size} tokens, but it is scored")


def _require_close(given: Score, wanted: Score, what: str) -> None:
    pairs = zip(given.log_probs, wanted.log_probs, strict=True)
    close = all(abs(one - other) <= _TOLERANCE for one, other in pairs)
    require(close, f"{what}: {given.log_probs} against {wanted.log_probs}")
    require(given.is_greedy == wanted.is_greedy, f"{what}: the greedy flag changes")
