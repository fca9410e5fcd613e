import pytest

from marin.errors import UsageError
from marin.rl.environments.arithmetic import ENVIRONMENT, ArithmeticEnvironment
from marin.rl.environments.protocol import Example

EXAMPLE = Example(id="17+25", prompt="What is 17 + 25?", answer="42")


def test_tasks_ask_for_sums_of_numbers_in_range():
    for example in ArithmeticEnvironment(largest=9).sample(200, seed=3):
        left, right = map(int, example.id.split("+"))
        assert 0 <= left <= 9
        assert 0 <= right <= 9
        assert example == Example(id=f"{left}+{right}", prompt=f"What is {left} + {right}?", answer=str(left + right))


def test_tasks_cover_the_range():
    examples = ArithmeticEnvironment(largest=1).sample(100, seed=0)
    assert {example.id for example in examples} == {"0+0", "0+1", "1+0", "1+1"}


def test_a_seed_gives_the_same_tasks_whatever_their_number():
    assert ENVIRONMENT.sample(5, seed=7) == ENVIRONMENT.sample(50, seed=7)[:5]
    assert ENVIRONMENT.sample(5, seed=7) != ENVIRONMENT.sample(5, seed=8)


@pytest.mark.parametrize("response", ["42", " 42.", "17 + 25 = 42", "the answer is 0042", "41, no: 42"])
def test_a_right_answer_is_rewarded(response):
    assert ENVIRONMENT.grade(EXAMPLE, response) == 1.0


@pytest.mark.parametrize("response", ["", "forty-two", "-42", "42 or 43", "420", "4 2", "9" * 100_000])
def test_a_wrong_answer_is_not(response):
    assert ENVIRONMENT.grade(EXAMPLE, response) == 0.0


@pytest.mark.parametrize("response", ["0", "00", "-0"])
def test_zero_is_zero(response):
    assert ENVIRONMENT.grade(Example(id="0+0", prompt="What is 0 + 0?", answer="0"), response) == 1.0


def test_a_negative_range_is_refused():
    with pytest.raises(UsageError, match="largest must be at least 0, got -1"):
        ArithmeticEnvironment(largest=-1)
