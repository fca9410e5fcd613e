import math

import pytest

from marin.errors import UsageError
from marin.evaluation.engines import ScoringRequest
from marin.evaluation.uniform import BACKEND


def score(model, context, continuation):
    [result] = BACKEND.open(model).score([ScoringRequest(context=context, continuation=continuation)])
    return result


def test_every_token_has_the_same_probability():
    result = score("50257", (1, 2), (50256, 0, 7))
    assert result.log_probs == (-math.log(50257),) * 3
    assert math.isclose(result.total, -3 * math.log(50257))


def test_perplexity_is_the_size_of_the_vocabulary():
    result = score("1000", (), tuple(range(10)))
    assert math.isclose(math.exp(-result.total / 10), 1000)


def test_of_tied_tokens_the_lowest_is_greedy():
    assert score("10", (), (0, 0)).is_greedy
    assert not score("10", (), (0, 1)).is_greedy


def test_one_token_is_certain():
    assert score("1", (0,), (0,)).log_probs == (0.0,)


@pytest.mark.parametrize(("context", "continuation"), [((10,), (1,)), ((), (1, 10))])
def test_ids_beyond_the_vocabulary_are_named_with_their_request(context, continuation):
    fine = ScoringRequest(context=(), continuation=(9,))
    with pytest.raises(UsageError, match="request 1: token ids must be below 10, got 10"):
        BACKEND.open("10").score([fine, ScoringRequest(context=context, continuation=continuation)])


@pytest.mark.parametrize("model", ["", "0", "-5", "1e3", "gpt2", "\N{ARABIC-INDIC DIGIT THREE}"])
def test_a_model_that_is_no_size_is_refused(model):
    with pytest.raises(UsageError, match="is the size of its vocabulary"):
        BACKEND.open(model)
