"""Training from labelled documents to a measured model folder; the part that all back ends share."""

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Any

from marin.classifiers.cards import CARD_NAME, ModelCard, file_sha256, read_card, write_card
from marin.classifiers.datasets import Dataset, load_dataset
from marin.classifiers.errors import DatasetError
from marin.classifiers.metrics import evaluate
from marin.classifiers.protocol import GROUP, Classifier, ClassifierBackend, TrainingConfig
from marin.plugins.registry import load_plugin
from marin.storage import absolute, join, make_directory, open_atomic, remove

logger = logging.getLogger(__name__)

type Fit = Callable[[Dataset, str, TrainingConfig], Mapping[str, Any]]
"""Learns from a dataset, writes the model's files into a local folder, returns its options with their defaults."""

EVALUATION_BATCH = 64
"""Texts of one `predict` call while measuring."""


def train_classifier(config: TrainingConfig) -> ModelCard:
    """Train with the back end that `config` names; the function of an executor step.

    Raises:
        UsageError: the back end, the data or the options are wrong.
        TrainingError: the training failed.
        MissingRequirementError: the back end's library is not installed.
    """
    return load_backend(config.backend).train(config)


def load_classifier(model_path: str) -> Classifier:
    """The model in the folder `model_path`, by the back end that its card names.

    Raises:
        ModelError: there is no model, or it is damaged.
        MissingRequirementError: the back end or its library is not installed.
    """
    return load_backend(read_card(model_path).backend).load(model_path)


def load_backend(name: str) -> ClassifierBackend:
    """The back end `name` of the installed plug-ins."""
    return load_plugin(GROUP, name, kind=ClassifierBackend)


def run_training(
    config: TrainingConfig,
    *,
    backend: str,
    fit: Fit,
    load: Callable[[str], Classifier],
    distributions: tuple[str, ...] = (),
) -> ModelCard:
    """Read the data, fit, measure on the held-out part, and publish the model folder.

    Args:
        config: What to train and where to put it.
        backend: Name of the back end, for the card.
        fit: The back end's own part.
        load: Loads the folder that `fit` wrote; the measures are those of the model as it will be used.
        distributions: Whose versions the card records, beside `marin-classifiers`.

    Raises:
        UsageError: the data or the options are wrong.
        TrainingError: the training failed.
    """
    output_path = absolute(config.output_path)
    make_directory(output_path)
    dataset = load_dataset(config.dataset)
    if config.positive_label is not None and config.positive_label not in dataset.labels:
        raise DatasetError(
            f"positive_label {config.positive_label!r} is not among the labels {', '.join(dataset.labels)}"
        )
    logger.info("training %s on %s", backend, dataset.report)
    with tempfile.TemporaryDirectory(prefix="marin-train-") as folder:
        options = fit(dataset, folder, config)
        card = ModelCard(
            backend=backend,
            labels=dataset.labels,
            positive_label=config.positive_label,
            files={name: file_sha256(join(folder, name)) for name in sorted(os.listdir(folder))},
            data={
                **asdict(dataset.report),
                "seed": config.dataset.seed,
                "validation_fraction": config.dataset.validation_fraction,
            },
            seed=config.seed,
            threads=config.threads,
            options=dict(options),
            versions={name: version(name) for name in ("marin-classifiers", *distributions)},
        )
        write_card(folder, card)
        card = _measured(card, dataset, load(folder))
        _publish(folder, output_path, card)
    return card


def _measured(card: ModelCard, dataset: Dataset, classifier: Classifier) -> ModelCard:
    texts = [example.text for example in dataset.validation]
    predictions = [
        prediction
        for start in range(0, len(texts), EVALUATION_BATCH)
        for prediction in classifier.predict(texts[start : start + EVALUATION_BATCH])
    ]
    classifier.close()
    metrics = evaluate(predictions, [example.label for example in dataset.validation], card.positive_label)
    return replace(card, metrics=metrics)


def _publish(folder: str, output_path: str, card: ModelCard) -> None:
    remove(join(output_path, CARD_NAME))
    for name in card.files:
        with open(join(folder, name), "rb") as source, open_atomic(join(output_path, name)) as target:
            shutil.copyfileobj(source, target)
    write_card(output_path, card)
