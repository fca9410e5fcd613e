"""Back end `fasttext`: fast linear classifiers on CPU (A. Joulin et al., Bag of Tricks, arXiv:1607.01759)."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Sequence

from marin.classifiers.cards import ModelCard, read_card, verify_files
from marin.classifiers.errors import ModelError
from marin.classifiers.fasttext.library import DISTRIBUTION, LABEL_PREFIX, FastTextModel, load_model
from marin.classifiers.fasttext.training import MODEL_NAME, fit
from marin.classifiers.metrics import probability
from marin.classifiers.protocol import Classifier, TrainingConfig
from marin.classifiers.text import normalize
from marin.classifiers.training import run_training
from marin.storage import filesystem, join, open_read, scheme


class FastTextClassifier:
    """A fastText model in memory.

    `predict` holds the interpreter's lock for the whole call: give it batches of some dozens of texts, and use
    processes, not threads, to go faster.
    """

    def __init__(self, model: FastTextModel, labels: tuple[str, ...]) -> None:
        self._model: FastTextModel | None = model
        self._labels = labels

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels without fastText's prefix."""
        return self._labels

    def predict(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """Label → probability for each text."""
        if self._model is None:
            raise ValueError("the classifier is closed")
        if not texts:
            return []
        lines = [normalize(text) for text in texts]
        names, scores = self._model.predict(lines, k=len(self._labels))
        return [self._prediction(*row) for row in zip(names, scores, strict=True)]

    def close(self) -> None:
        """Let go of the model."""
        self._model = None

    def _prediction(self, names: Sequence[str], scores: Sequence[float]) -> dict[str, float]:
        found = {name.removeprefix(LABEL_PREFIX): probability(score) for name, score in zip(names, scores, strict=True)}
        # fastText returns nothing for a text without a single known word, where even the end of line is unknown.
        unknown = 0.0 if found else 1.0 / len(self._labels)
        return {label: found.get(label, unknown) for label in self._labels}


class FastTextBackend:
    """Trains and loads fastText models."""

    name = "fasttext"

    def train(self, config: TrainingConfig) -> ModelCard:
        """Train a model folder; byte-identical for the same data, options and seed with one thread."""
        return run_training(config, backend=self.name, fit=fit, load=self.load, distributions=(DISTRIBUTION,))

    def load(self, model_path: str) -> Classifier:
        """Load the model folder `model_path`; a remote model is copied to this machine once."""
        card = read_card(model_path)
        if MODEL_NAME not in card.files:
            raise ModelError(f"{model_path} is no fastText model: its card lists no {MODEL_NAME}")
        verify_files(model_path, card)
        path = _local_copy(join(model_path, MODEL_NAME), card.files[MODEL_NAME])
        try:
            model = load_model(path)
        except ValueError as error:
            raise ModelError(f"{model_path} is no fastText model: {error}") from error
        found = {label.removeprefix(LABEL_PREFIX) for label in model.get_labels()}
        if found != set(card.labels):
            raise ModelError(
                f"the model {model_path} has the labels {sorted(found)}, its card says {list(card.labels)}"
            )
        return FastTextClassifier(model, card.labels)


def _local_copy(path: str, digest: str) -> str:
    """A local path to the file; copies are named by content, so processes share them and none is ever wrong."""
    if scheme(path) in ("file", "local"):
        return filesystem(path)[1]
    copy = os.path.join(tempfile.gettempdir(), "marin-models", digest)
    if not os.path.exists(copy):
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        temporary = f"{copy}.tmp.{uuid.uuid4().hex}"
        with open_read(path) as source, open(temporary, "wb") as target:
            shutil.copyfileobj(source, target)
        os.replace(temporary, copy)
    return copy


BACKEND = FastTextBackend()
"""What the entry point gives."""
