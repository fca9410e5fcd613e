"""Fits a fastText model to examples."""

import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from marin.classifiers.datasets import Dataset
from marin.classifiers.errors import DatasetError, TrainingError
from marin.classifiers.fasttext.library import LABEL_PREFIX, train_supervised
from marin.classifiers.protocol import TrainingConfig, parse_options
from marin.classifiers.validation import check

logger = logging.getLogger(__name__)

MODEL_NAME = "model.bin"
"""File name of the fastText model in a model folder."""
LOSSES = ("softmax", "ova")
"""`softmax`: the probabilities of all labels add up to 1; `ova`: one independent probability for each label."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FastTextOptions:
    """Options of the back end `fasttext`, by the names that fastText documents (camel case there).

    Raises:
        UsageError: a value is out of range.
    """

    dim: int = 32
    """Size of the word vectors."""
    epoch: int = 5
    """Passes over the training examples."""
    lr: float = 0.5
    """Learning rate at the start; it falls to 0."""
    word_ngrams: int = 1
    """Longest run of words that is a feature; above 1 the model has `bucket` more vectors."""
    min_count: int = 1
    """Words seen less often are left out."""
    minn: int = 0
    """Shortest run of characters that is a feature; 0 with `maxn` 0 for none."""
    maxn: int = 0
    """Longest run of characters that is a feature."""
    bucket: int = 2_000_000
    """Vectors for n-grams of words and characters; the model has none where there are no n-grams."""
    loss: str = "softmax"
    """`softmax` or `ova`."""

    def __post_init__(self) -> None:
        for name in ("dim", "epoch", "word_ngrams", "min_count", "bucket"):
            check(name, getattr(self, name), lambda number: number >= 1, "at least 1")
        check("lr", self.lr, lambda rate: rate > 0, "above 0")
        check("minn and maxn", (self.minn, self.maxn), lambda pair: 0 <= pair[0] <= pair[1], "0 <= minn <= maxn")
        check("loss", self.loss, lambda loss: loss in LOSSES, f"one of {', '.join(LOSSES)}")


def fit(dataset: Dataset, folder: str, config: TrainingConfig) -> Mapping[str, Any]:
    """Train and write `model.bin` into the local folder `folder`; returns the options with their defaults.

    Raises:
        UsageError: an option is wrong.
        DatasetError: a label cannot be written in fastText's format.
        TrainingError: the training diverged.
        FastTextInstallError: the library is missing or cannot be trusted.
    """
    options = parse_options(FastTextOptions, config.options, "fasttext")
    _check_labels(dataset.labels)
    with tempfile.TemporaryDirectory(prefix="marin-fasttext-") as scratch:
        path = os.path.join(scratch, "train.txt")
        with open(path, "wb") as stream:
            for example in dataset.train:
                stream.write(f"{LABEL_PREFIX}{example.label} {example.text}\n".encode())
        try:
            model = train_supervised(path, _arguments(options, config))
        except (RuntimeError, ValueError) as error:
            raise TrainingError(
                f"fastText could not train: {error}; a lower lr (it is {options.lr}) may help"
            ) from error
        model.save_model(os.path.join(folder, MODEL_NAME))
    return asdict(options)


def _arguments(options: FastTextOptions, config: TrainingConfig) -> dict[str, Any]:
    return {
        "dim": options.dim,
        "epoch": options.epoch,
        "lr": options.lr,
        "wordNgrams": options.word_ngrams,
        "minCount": options.min_count,
        "minn": options.minn,
        "maxn": options.maxn,
        "bucket": options.bucket,
        "loss": options.loss,
        "seed": config.seed,
        # fastText's own default is the number of cores less one, and 0 threads kill the process.
        "thread": max(1, config.threads),
        "label": LABEL_PREFIX,
    }


def _check_labels(labels: tuple[str, ...]) -> None:
    for label in labels:
        if label.startswith(LABEL_PREFIX) or len(label.split()) != 1 or label != label.strip():
            raise DatasetError(
                f"the label {label!r} cannot be a fastText label: it must have no white space and not start with "
                f"{LABEL_PREFIX} (the prefix is added)"
            )
