import math
from collections.abc import Sequence

import pytest

from marin.classifiers.length.backend import LengthClassifier


def density(x: float, mean: float, variance: float) -> float:
    return math.exp(-((x - mean) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)


@pytest.mark.parametrize("size", [0, 3, 50, 100_000])
def test_probabilities_are_those_of_the_formula(size: int) -> None:
    parameters = {"a": (0.25, 2.0, 0.5), "b": (0.75, 5.0, 2.0)}
    x = math.log(1 + size)
    joint = {label: share * density(x, mean, variance) for label, (share, mean, variance) in parameters.items()}
    (prediction,) = LengthClassifier(parameters).predict(["x" * size])
    for label, value in joint.items():
        assert prediction[label] == pytest.approx(value / sum(joint.values()), abs=1e-12)


def test_far_from_every_class_the_probabilities_still_add_up() -> None:
    tiny: Sequence[dict[str, float]] = LengthClassifier({"a": (0.5, 100.0, 0.01), "b": (0.5, 200.0, 0.01)}).predict(
        [""]
    )
    assert sum(tiny[0].values()) == pytest.approx(1)
