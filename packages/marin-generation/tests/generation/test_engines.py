import pytest

from marin.errors import UsageError
from marin.generation.engines import SamplingConfig


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_tokens": 0}, "max_tokens must be at least 1, got 0"),
        ({"temperature": -0.1}, "temperature must be a finite number of at least 0, got -0.1"),
        ({"temperature": float("nan")}, "temperature must be a finite number of at least 0, got nan"),
        ({"temperature": float("inf")}, "temperature must be a finite number of at least 0, got inf"),
        ({"stop": ("a", "")}, "stop must be a tuple of non-empty strings, got ('a', '')"),
        ({"stop": "END"}, "stop must be a tuple of non-empty strings, got 'END'"),
    ],
)
def test_sampling_values_out_of_range_are_refused(values, message):
    with pytest.raises(UsageError) as caught:
        SamplingConfig(**values)
    assert str(caught.value) == message


def test_the_extremes_of_sampling_are_allowed():
    assert SamplingConfig(max_tokens=1, temperature=0.0, stop=(), seed=-1).max_tokens == 1
