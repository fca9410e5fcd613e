"""The conformance kit accepts the back ends that are built in, and notices what is wrong with others."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from marin.classifiers.cards import ModelCard
from marin.classifiers.length.backend import BACKEND, LengthClassifier
from marin.classifiers.protocol import Classifier, TrainingConfig
from marin.classifiers.testing import check_classifier_backend
from marin.classifiers.text import normalize
from marin.plugins.testing import ConformanceError

Predict = Callable[[LengthClassifier, Sequence[str]], list[dict[str, float]]]


def test_length_conforms(tmp_path: Path) -> None:
    check_classifier_backend("length", str(tmp_path))


@pytest.mark.model
def test_fasttext_conforms(tmp_path: Path) -> None:
    check_classifier_backend("fasttext", str(tmp_path))


@dataclass(frozen=True)
class FaultyClassifier:
    inner: LengthClassifier
    faulty: Predict

    @property
    def labels(self) -> tuple[str, ...]:
        return self.inner.labels

    def predict(self, texts: Sequence[str]) -> list[dict[str, float]]:
        return self.faulty(self.inner, texts)

    def close(self) -> None:
        self.inner.close()


@dataclass(frozen=True)
class FaultyBackend:
    predict: Predict
    name: str = "length"

    def train(self, config: TrainingConfig) -> ModelCard:
        return BACKEND.train(config)

    def load(self, model_path: str) -> Classifier:
        inner = BACKEND.load(model_path)
        assert isinstance(inner, LengthClassifier)
        return FaultyClassifier(inner, self.predict)


def raw(model: LengthClassifier, text: str) -> dict[str, float]:
    return {label: min(1.0, len(text) / 1000 + share) for label, (share, _, _) in model.parameters.items()}


FAULTS: dict[str, Predict] = {
    r"13 texts got 12 predictions": lambda model, texts: model.predict([text for text in texts if text]),
    r"got the labels \('short', 'long'\)": lambda model, texts: [
        dict(reversed(prediction.items())) for prediction in model.predict(texts)
    ],
    r"got 1\.5 for long, which is no probability": lambda model, texts: [{"long": 1.5, "short": 0.0} for _ in texts],
    r"got nan for long": lambda model, texts: [{"long": math.nan, "short": 0.0} for _ in texts],
    r"got a int for long, not a float": lambda model, texts: [{"long": 1, "short": 0.0} for _ in texts],
    r"among other texts and .* alone": lambda model, texts: model.predict(list(reversed(texts))),
    r"normalise in predict\(\)": lambda model, texts: [raw(model, text) for text in texts],
    r"what follows </s> in a text is not scored": lambda model, texts: model.predict(
        [normalize(text).split("< /s>")[0] for text in texts]
    ),
}


@pytest.mark.parametrize(("message", "predict"), FAULTS.items(), ids=list(FAULTS))
def test_the_kit_notices_wrong_predictions(
    message: str, predict: Predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marin.classifiers.length.backend.BACKEND", FaultyBackend(predict))
    with pytest.raises(ConformanceError, match=message):
        check_classifier_backend("length", str(tmp_path))
