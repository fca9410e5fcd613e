"""Model folders: the back end's files and `classifier.json`, the card that says what they are.

The card is written last, so a folder without it is no model; it holds the SHA-256 of every file beside it, so a
folder that was copied in part, or changed, is refused.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from marin.classifiers.errors import ModelError
from marin.classifiers.text import NORMALIZER_VERSION
from marin.storage import StorageError, exists, join, open_read, read_json, write_json

CARD_NAME = "classifier.json"
"""File name of the card in a model folder."""
CARD_VERSION = 1
"""Format of the card; a reader refuses any other."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCard:
    """What a model folder holds and how it was made."""

    backend: str
    """Name of the plug-in that loads it."""
    labels: tuple[str, ...]
    """Labels in the order of its predictions."""
    positive_label: str | None = None
    """The label that thresholds are about, if one was named."""
    files: Mapping[str, str]
    """File name → SHA-256 (hex) of each file of the model."""
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Counts of the data it was trained on (`DatasetReport`), the split's seed and fraction."""
    seed: int = 0
    """Seed of the training."""
    threads: int = 1
    """Threads of the training; a model trained with one is reproducible."""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The back end's options, defaults included."""
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    """Distribution → version of what trained it."""
    metrics: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Measures on the validation examples (`marin.classifiers.metrics.evaluate`)."""
    normalizer_version: int = NORMALIZER_VERSION
    """Version of the text normaliser that it was trained with."""
    card_version: int = CARD_VERSION
    """Format of this card."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over what decides predictions: back end, labels, normaliser and files."""
        parts = [self.backend, str(self.normalizer_version), *self.labels]
        parts += [f"{name}={digest}" for name, digest in sorted(self.files.items())]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def write_card(model_path: str, card: ModelCard) -> None:
    """Write `card` into the folder `model_path`, whole or not at all."""
    write_json(join(model_path, CARD_NAME), asdict(card))


def read_card(model_path: str) -> ModelCard:
    """The card of the model folder `model_path`.

    Raises:
        ModelError: there is no model, its card cannot be read, or it was written in another format.
    """
    path = join(model_path, CARD_NAME)
    if not exists(path):
        raise ModelError(f"no model at {model_path}: it has no {CARD_NAME}; train one with `marin classify train`")
    try:
        card: dict[str, Any] = read_json(path)
        if card["card_version"] != CARD_VERSION:
            raise ModelError(f"{path} has the format {card['card_version']}, this version reads format {CARD_VERSION}")
        if card["normalizer_version"] != NORMALIZER_VERSION:
            raise ModelError(
                f"{model_path} was trained with version {card['normalizer_version']} of the text normaliser, "
                f"this is version {NORMALIZER_VERSION}: train it again"
            )
        known: dict[str, Any] = {part.name: card[part.name] for part in fields(ModelCard)}
        known["labels"] = tuple(known["labels"])
        return ModelCard(**known)
    except (StorageError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is no model card: {error}") from error


def verify_files(model_path: str, card: ModelCard) -> None:
    """Compare every file of the model with its SHA-256 in `card`.

    Raises:
        ModelError: a file is missing or differs; names it.
    """
    for name, expected in card.files.items():
        path = join(model_path, name)
        if not exists(path):
            raise ModelError(f"{model_path} is incomplete: {name} is missing; copy the whole folder, or train again")
        found = file_sha256(path)
        if found != expected:
            raise ModelError(
                f"{path} is damaged: its SHA-256 is {found[:12]}..., its card says {expected[:12]}...; "
                "copy the folder again, or train again"
            )


def file_sha256(path: str) -> str:
    """SHA-256 (hex) of the file at `path`."""
    with open_read(path) as stream:
        digest = hashlib.sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
