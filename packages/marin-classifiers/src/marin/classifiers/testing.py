"""Conformance kit: what every back end of the group `marin.classifiers` must do.

Authors of back ends call `check_classifier_backend` from a test of their own:

    def test_conforms(tmp_path):
        check_classifier_backend("mine", str(tmp_path))
"""

import json
import math
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from marin.classifiers.cards import CARD_NAME, ModelCard, read_card
from marin.classifiers.datasets import DatasetConfig
from marin.classifiers.errors import ModelError
from marin.classifiers.protocol import GROUP, Classifier, ClassifierBackend, TrainingConfig
from marin.classifiers.text import normalize
from marin.errors import UsageError
from marin.plugins.testing import ConformanceError, check_plugin, require
from marin.storage import write_text

HOSTILE_TEXTS = (
    "",
    " ",
    "\0",
    "\n\n\n",
    "two\nlines\r\nand a third",
    "before </s> after",
    "__label__long __label__short __label__",
    "</s>",
    "a lone surrogate \ud800 in the middle",
    "null \0 character",
    "emoji \U0001f600, Arabic \u0645\u0631\u062d\u0628\u0627, combining e\u0301",
    "word " * 20_000,
    "x" * 100_000,
)
"""Texts that have broken classifiers: each must get a prediction like any other text."""

ABSOLUTE_TOLERANCE = 1e-5
"""How far the probabilities of one text may differ between calls; batches change rounding."""


def check_classifier_backend(
    name: str, folder: str, *, options: Mapping[str, Any] | None = None, deterministic: bool = True
) -> None:
    """Check the installed plug-in `name`: look-up, training, model folder, predictions, faults.

    Args:
        name: Name of its entry point.
        folder: An empty local folder to work in.
        options: Options that let it learn the toy data in seconds.
        deterministic: Whether two trainings with one seed and one thread give the same predictions.

    Raises:
        ConformanceError: it does not do what the protocol asks for; the message says what.
        PluginError: it cannot be looked up or imported.
    """
    backend = check_plugin(GROUP, name, ClassifierBackend)
    require(backend.name == name, f"the entry point is named {name!r}, the back end says {backend.name!r}")
    config = toy_config(name, folder, options or {})
    card = backend.train(config)
    _check_card(card, config)
    classifier = backend.load(config.output_path)
    _check_predictions(classifier, card)
    _check_threads(classifier)
    if deterministic:
        again = replace(config, output_path=os.path.join(folder, "again"))
        backend.train(again)
        _require_alike(classifier, backend.load(again.output_path), "two trainings with one seed and one thread differ")
    classifier.close()
    classifier.close()
    _check_faults(backend, config, card)


def toy_config(backend: str, folder: str, options: Mapping[str, Any]) -> TrainingConfig:
    """Writes 400 labelled documents into `folder`: the classes differ in their words and in their length."""
    rows: list[str] = []
    for index in range(200):
        long = f"the history of river number {index} is told in this long and quiet description of its valley " * 4
        short = f"def f{index}(): return {index}"
        rows.append(json.dumps({"id": f"long-{index}", "text": long, "label": "long"}))
        rows.append(json.dumps({"id": f"short-{index}", "text": short, "label": "short"}))
    documents = os.path.join(folder, "documents", "toy.jsonl")
    write_text(documents, "\n".join(rows) + "\n")
    return TrainingConfig(
        backend=backend,
        dataset=DatasetConfig(input_path=documents, validation_fraction=0.2),
        output_path=os.path.join(folder, "model"),
        positive_label="long",
        options=options,
    )


def _check_card(card: ModelCard, config: TrainingConfig) -> None:
    require(card == read_card(config.output_path), "train() returned another card than it wrote")
    require(card.backend == config.backend, f"the card names the back end {card.backend!r}")
    require(set(card.labels) == {"long", "short"}, f"the card has the labels {card.labels}, the data long and short")
    require(card.positive_label == "long", f"the card has the positive label {card.positive_label!r}, long was given")
    found = {name for name in os.listdir(config.output_path) if name != CARD_NAME}
    require(found == set(card.files), f"the card lists the files {sorted(card.files)}, the folder has {sorted(found)}")
    accuracy = card.metrics["accuracy"]
    require(accuracy >= 0.9, f"it learnt nothing: its accuracy on two easy classes is {accuracy}")


def _check_predictions(classifier: Classifier, card: ModelCard) -> None:
    require(
        classifier.labels == card.labels, f"it predicts the labels {classifier.labels}, its card says {card.labels}"
    )
    require(classifier.predict([]) == [], "predict([]) must be []")
    together = classifier.predict(HOSTILE_TEXTS)
    require(len(together) == len(HOSTILE_TEXTS), f"{len(HOSTILE_TEXTS)} texts got {len(together)} predictions")
    for text, prediction in zip(HOSTILE_TEXTS, together, strict=True):
        shown = repr(text[:40])
        require(tuple(prediction) == card.labels, f"{shown} got the labels {tuple(prediction)}, not {card.labels}")
        for label, value in prediction.items():
            require(type(value) is float, f"{shown} got a {type(value).__name__} for {label}, not a float")
            require(0 <= value <= 1, f"{shown} got {value} for {label}, which is no probability")
        alone = classifier.predict([text])[0]
        require(_alike(alone, prediction), f"{shown} got {prediction} among other texts and {alone} alone")
        normal = classifier.predict([normalize(text)])[0]
        require(_alike(alone, normal), f"{shown} is scored {alone}, normalised it is {normal}: normalise in predict()")
    long, both = classifier.predict(["the quiet valley", "the quiet valley </s> def f(): return 1 " * 10])
    require(not _alike(long, both), "what follows </s> in a text is not scored")


def _check_threads(classifier: Classifier) -> None:
    texts = [f"text number {index} of the river" for index in range(64)]
    expected = classifier.predict(texts)
    with ThreadPoolExecutor(max_workers=4) as threads:
        for found in threads.map(classifier.predict, [texts] * 8):
            alike = all(_alike(one, other) for one, other in zip(found, expected, strict=True))
            require(alike, "predict() gives other results when threads call it at once")


def _require_alike(one: Classifier, other: Classifier, message: str) -> None:
    pairs = zip(one.predict(HOSTILE_TEXTS), other.predict(HOSTILE_TEXTS), strict=True)
    require(all(_alike(first, second) for first, second in pairs), message)


def _check_faults(backend: ClassifierBackend, config: TrainingConfig, card: ModelCard) -> None:
    wrong = replace(config, options={**config.options, "no_such_option": 1})
    _require_error(UsageError, lambda: backend.train(wrong), "an unknown option")
    _require_error(ModelError, lambda: backend.load(f"{config.output_path}-absent"), "a missing model folder")
    path = os.path.join(config.output_path, next(iter(card.files)))
    with open(path, "rb") as stream:
        content = stream.read()
    with open(path, "wb") as stream:
        stream.write(content[: len(content) // 2])
    _require_error(ModelError, lambda: backend.load(config.output_path), "a truncated model file")
    os.remove(path)
    _require_error(ModelError, lambda: backend.load(config.output_path), "a missing model file")


def _require_error(kind: type[Exception], action: Any, what: str) -> None:
    try:
        action()
    except kind:
        return
    raise ConformanceError(f"{what} must raise {kind.__name__}")


def _alike(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return one.keys() == other.keys() and all(
        math.isclose(value, other[label], rel_tol=0, abs_tol=ABSOLUTE_TOLERANCE) for label, value in one.items()
    )
