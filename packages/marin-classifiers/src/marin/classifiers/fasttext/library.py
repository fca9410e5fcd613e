"""The typed edge to the untyped `fasttext` module, and the check that the installed one can be trusted.

Several distributions install a module of that name, the last one wins, and two of them return wrong scores from
the list form of `predict` on NumPy 2 without an error.
"""

import functools
from collections.abc import Mapping, Sequence
from importlib.metadata import packages_distributions, version
from typing import Any, Protocol, cast

from marin.classifiers.errors import FastTextInstallError

DISTRIBUTION = "fasttext-community"
"""The distribution that is known to train reproducibly and to score rightly."""
INSTALL = "uv pip install 'marin-classifiers[fasttext]'"
"""What installs it."""
LABEL_PREFIX = "__label__"
"""What tells labels from words in fastText's files."""


class FastTextModel(Protocol):
    """The part of a fastText model that is used."""

    def get_labels(self) -> Sequence[str]:
        """Labels with their prefix, the most frequent first."""
        ...

    def predict(self, text: Any, k: int) -> tuple[Any, Any]:
        """`k` labels and their probabilities: two flat sequences for a string, two nested ones for a list."""
        ...

    def save_model(self, path: str) -> None:
        """Write the model to a local file."""
        ...


def train_supervised(path: str, arguments: Mapping[str, Any]) -> FastTextModel:
    """Train on the local file `path`, one example a line.

    Raises:
        FastTextInstallError: the library is missing or cannot be trusted.
        RuntimeError: the training diverged.
        ValueError: fastText refuses the file or an argument.
    """
    return cast(FastTextModel, _library().train_supervised(input=path, verbose=0, **arguments))


def load_model(path: str) -> FastTextModel:
    """The model in the local file `path`, after one prediction in both forms agreed.

    Raises:
        FastTextInstallError: the library is missing or cannot be trusted.
        ValueError: the file is no fastText model.
    """
    model = cast(FastTextModel, _library().load_model(path))
    check_agreement(model)
    return model


def check_agreement(model: FastTextModel) -> None:
    """Compare the list form of `predict` with the form for one text.

    Raises:
        FastTextInstallError: they differ, or one of them fails.
    """
    count = len(model.get_labels())
    text = "the quick brown fox"
    try:
        labels, scores = model.predict(text, k=count)
        listed_labels, listed_scores = model.predict([text], k=count)
        single = dict(zip(labels, map(float, scores), strict=True))
        listed = dict(zip(listed_labels[0], map(float, listed_scores[0]), strict=True))
    except ValueError as error:
        raise _untrusted(f"its predict() fails: {error}") from error
    if single != listed:
        raise _untrusted(f"predict() gives {single} for one text and {listed} for the same text in a list")


@functools.cache
def _library() -> Any:
    try:
        import fasttext
    except ImportError as error:
        raise FastTextInstallError(f"the fasttext back end needs {DISTRIBUTION}; install it with: {INSTALL}") from error
    owners = sorted(set(packages_distributions().get("fasttext", [])))
    if len(owners) > 1:
        others = " ".join(owner for owner in owners if owner != DISTRIBUTION)
        raise FastTextInstallError(
            f"{' and '.join(owners)} both install the module `fasttext`, and which one is used is chance; "
            f"repair it with: uv pip uninstall {others} && uv pip install --reinstall {DISTRIBUTION}"
        )
    return fasttext


def _untrusted(reason: str) -> FastTextInstallError:
    owners = [f"{name} {version(name)}" for name in sorted(set(packages_distributions().get("fasttext", [])))]
    return FastTextInstallError(
        f"the installed fastText ({', '.join(owners) or 'of unknown origin'}) cannot be trusted: {reason}; "
        f"replace it by {DISTRIBUTION}: {INSTALL}"
    )
