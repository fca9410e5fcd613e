"""Gaussian naive Bayes on the logarithm of the text's length: the smallest complete back end.

For each label the mean m and variance v of x = log(1 + characters) over its training texts, and its share w of
them, are stored; the probability of a label is proportional to w · N(x; m, v) (Gaussian naive Bayes with one
feature: C. Bishop, Pattern Recognition and Machine Learning (2006), section 4.2).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from marin.classifiers.cards import ModelCard, read_card, verify_files
from marin.classifiers.datasets import Dataset
from marin.classifiers.protocol import Classifier, TrainingConfig, parse_options
from marin.classifiers.text import normalize
from marin.classifiers.training import run_training
from marin.classifiers.validation import check
from marin.storage import join, read_json, write_json

MODEL_NAME = "length.json"
"""File name of the parameters in a model folder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LengthOptions:
    """Options of the back end `length`."""

    variance_floor: float = 0.01
    """Smallest variance of a label, so that texts of one length are no certainty; above 0."""

    def __post_init__(self) -> None:
        check("variance_floor", self.variance_floor, lambda floor: floor > 0, "above 0")


@dataclass(frozen=True, slots=True)
class LengthClassifier:
    """Label → (share, mean, variance) of log lengths."""

    parameters: Mapping[str, tuple[float, float, float]]
    """Parameters of each label."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels, sorted."""
        return tuple(self.parameters)

    def predict(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """Label → probability for each text."""
        return [self._predict_one(_feature(normalize(text))) for text in texts]

    def close(self) -> None:
        """Nothing is held."""

    def _predict_one(self, x: float) -> dict[str, float]:
        scores = {
            label: math.log(share) - 0.5 * math.log(variance) - (x - mean) ** 2 / (2 * variance)
            for label, (share, mean, variance) in self.parameters.items()
        }
        highest = max(scores.values())
        weights = {label: math.exp(score - highest) for label, score in scores.items()}
        total = sum(weights.values())
        return {label: weight / total for label, weight in weights.items()}


class LengthBackend:
    """The reference back end: deterministic, in a few lines, without dependencies."""

    name = "length"

    def train(self, config: TrainingConfig) -> ModelCard:
        """Fit the parameters and write the model folder."""
        return run_training(config, backend=self.name, fit=_fit, load=self.load)

    def load(self, model_path: str) -> Classifier:
        """Load the model folder `model_path`."""
        card = read_card(model_path)
        verify_files(model_path, card)
        parameters: dict[str, list[float]] = read_json(join(model_path, MODEL_NAME))
        return LengthClassifier({label: (w, m, v) for label, (w, m, v) in parameters.items()})


def _fit(dataset: Dataset, folder: str, config: TrainingConfig) -> Mapping[str, Any]:
    options = parse_options(LengthOptions, config.options, LengthBackend.name)
    lengths: dict[str, list[float]] = {label: [] for label in dataset.labels}
    for example in dataset.train:
        lengths[example.label].append(_feature(example.text))
    parameters: dict[str, tuple[float, float, float]] = {}
    for label, values in lengths.items():
        mean = math.fsum(values) / len(values)
        variance = math.fsum((value - mean) ** 2 for value in values) / len(values)
        parameters[label] = (len(values) / len(dataset.train), mean, max(variance, options.variance_floor))
    write_json(join(folder, MODEL_NAME), parameters)
    return {"variance_floor": options.variance_floor}


def _feature(text: str) -> float:
    return math.log1p(len(text))


BACKEND = LengthBackend()
"""What the entry point gives."""
