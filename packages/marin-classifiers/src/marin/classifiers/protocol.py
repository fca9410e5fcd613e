"""What a kind of classifier is: the back ends of entry-point group `marin.classifiers` follow these protocols."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, Protocol, cast, runtime_checkable

from marin.classifiers.cards import ModelCard
from marin.classifiers.datasets import DatasetConfig
from marin.classifiers.validation import check
from marin.errors import UsageError

GROUP = "marin.classifiers"
"""Entry-point group of the back ends."""


class Classifier(Protocol):
    """A model in memory. `predict` may be called from several threads at once."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label that it predicts, in the order of its predictions."""
        ...

    def predict(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """Label → probability for each text, in order; every label is there, every value finite and in [0, 1].

        Any string is allowed, the empty one too: the classifier normalises texts itself
        (`marin.classifiers.text.normalize`). A prediction does not depend on the other texts of the call.
        """
        ...

    def close(self) -> None:
        """Free what the model holds; `predict` must not be called any more. Calling it twice is allowed."""
        ...


@runtime_checkable
class ClassifierBackend(Protocol):
    """Trains and loads one kind of classifier. Importing its module must not import the library behind it."""

    @property
    def name(self) -> str:
        """Name under which the entry point gives it."""
        ...

    def train(self, config: "TrainingConfig") -> ModelCard:
        """Train on the data of `config` and write a model folder; `marin.classifiers.training.run_training` helps.

        Raises:
            UsageError: the data or the options are wrong.
            TrainingError: the training failed.
            MissingRequirementError: the library is not installed.
        """
        ...

    def load(self, model_path: str) -> Classifier:
        """Load a model folder after checking its files against its card.

        Raises:
            ModelError: the folder holds no such model, or it is damaged.
            MissingRequirementError: the library is not installed.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig:
    """What to train, on what, and where to put it.

    Raises:
        UsageError: a value is out of range.
    """

    backend: str
    """Name of a back end, such as `fasttext`; `marin plugins` lists them."""
    dataset: DatasetConfig
    """Labelled documents and their split."""
    output_path: str
    """Model folder to write."""
    positive_label: str | None = None
    """The label that documents are wanted to have; adds the best threshold and its curve to the metrics."""
    seed: int = 0
    """Seed of the training."""
    threads: int = 1
    """Threads of the training. fastText is reproducible with one only."""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Options of the back end; an unknown name is an error."""

    def __post_init__(self) -> None:
        check("threads", self.threads, lambda threads: threads >= 1, "at least 1")
        check("output_path", self.output_path, bool, "a folder")


class _Options(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


def parse_options[T: _Options](kind: type[T], options: Mapping[str, Any], backend: str) -> T:
    """A back end's options as its dataclass `kind`, which checks ranges itself.

    Raises:
        UsageError: an option is unknown, missing, or of another type than its default.
    """
    known = {option.name: option for option in fields(cast(Any, kind))}
    for name, value in options.items():
        if name not in known:
            allowed = ", ".join(known) or "none"
            raise UsageError(f"the back end {backend} has no option {name!r}; its options are {allowed}")
        default = known[name].default
        if default is not MISSING and not _is_like(value, default):
            raise UsageError(f"option {name} of {backend} must be like {default!r}, got {value!r}")
    return kind(**options)


def _is_like(value: object, default: object) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, (int, float))
    return isinstance(value, type(default))
