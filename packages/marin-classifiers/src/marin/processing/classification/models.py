"""The model of a worker process: loaded on its first file, kept for all others."""

import os
import socket
import threading
from collections import OrderedDict

from marin.classifiers.cards import read_card
from marin.classifiers.errors import ModelError
from marin.classifiers.protocol import Classifier
from marin.classifiers.training import load_classifier

KEPT_MODELS = 2
"""Models that a process keeps: a notebook that compares two classifiers loads each once."""

_lock = threading.Lock()
_models: OrderedDict[str, Classifier] = OrderedDict()


def worker_name() -> str:
    """This process, as reports count it."""
    return f"{socket.gethostname()}:{os.getpid()}"


def shared_classifier(model_path: str, fingerprint: str) -> tuple[Classifier, bool]:
    """The model, and whether this call loaded it; threads of one process share one model.

    Args:
        model_path: Folder to load it from.
        fingerprint: `ModelCard.fingerprint` that it must have.

    Raises:
        ModelError: the folder holds no model, a damaged one, or another one than the run began with.
        MissingRequirementError: the worker lacks the back end or its library.
    """
    with _lock:
        if fingerprint in _models:
            _models.move_to_end(fingerprint)
            return _models[fingerprint], False
        if read_card(model_path).fingerprint != fingerprint:
            raise ModelError(f"the model {model_path} was changed while the run was going; start the run again")
        classifier = load_classifier(model_path)
        _models[fingerprint] = classifier
        # Not closed: another thread may be using it; it goes when the last one lets go of it.
        while len(_models) > KEPT_MODELS:
            _models.popitem(last=False)
        return classifier, True
