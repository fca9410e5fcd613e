import math

import pytest

from marin.errors import UsageError
from marin.evaluation.engines import Score, ScoringRequest


def test_a_request_needs_something_to_score():
    with pytest.raises(UsageError, match="its continuation is empty"):
        ScoringRequest(context=(1,), continuation=())


@pytest.mark.parametrize(("context", "continuation"), [((-1,), (2,)), ((), (3, -1))])
def test_negative_token_ids_are_refused(context, continuation):
    with pytest.raises(UsageError, match="token ids must be at least 0, got -1"):
        ScoringRequest(context=context, continuation=continuation)


def test_the_total_is_the_log_probability_of_the_whole_continuation():
    score = Score(log_probs=(math.log(0.5), math.log(0.25)), is_greedy=False)
    assert math.isclose(math.exp(score.total), 0.125)
