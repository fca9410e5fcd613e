"""Labelled documents → training and validation examples, split by a hash, so that the split never moves."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from marin.classifiers.documents import (
    ON_BAD_DOCUMENT,
    BadDocument,
    Document,
    DocumentColumns,
    OnBadDocument,
    read_documents,
)
from marin.classifiers.errors import DatasetError
from marin.classifiers.inputs import list_inputs
from marin.classifiers.text import is_blank, normalize
from marin.classifiers.validation import check


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetConfig:
    """Labelled documents and how to split them.

    Raises:
        UsageError: a value is out of range.
    """

    input_path: str | Sequence[str]
    """Files, folders or globs of JSON lines, each with an id, a text and a label."""
    columns: DocumentColumns = field(default_factory=DocumentColumns)
    """Where a document's parts are found."""
    validation_fraction: float = 0.1
    """Part of the documents that is held out to measure the classifier; above 0 and below 1."""
    seed: int = 0
    """Seed of the split."""
    on_bad_document: OnBadDocument = "fail"
    """What to do with a document that has no id, text or label, or is empty."""

    def __post_init__(self) -> None:
        check("validation_fraction", self.validation_fraction, lambda part: 0 < part < 1, "above 0 and below 1")
        check("on_bad_document", self.on_bad_document, lambda way: way in ON_BAD_DOCUMENT, "'fail' or 'skip'")


@dataclass(frozen=True, slots=True)
class Example:
    """A normalised text and its label."""

    text: str
    """Text as `marin.classifiers.text.normalize` returns it; never blank."""
    label: str
    """Its class."""


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """What was read, and where it went; kept in the model card."""

    files: int
    """Files read."""
    documents: int
    """Documents read, bad ones included."""
    bad: int
    """Documents skipped because they could not be used."""
    train: dict[str, int]
    """Label → training examples."""
    validation: dict[str, int]
    """Label → validation examples."""
    leaked: int
    """Validation examples left out because their text is a training text as well."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Examples to learn from and examples to measure with; both in the order of the input."""

    train: tuple[Example, ...]
    """What a back end learns from."""
    validation: tuple[Example, ...]
    """What it is measured on; shares no text with `train`."""
    report: DatasetReport
    """Counts."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label, sorted."""
        return tuple(sorted(self.report.train))


def load_dataset(config: DatasetConfig) -> Dataset:
    """Read, check and split the labelled documents.

    A document goes by the hash of (seed, id) alone, so that adding documents moves none that was there. The share
    of each label on the two sides follows, as the hash knows nothing of labels. Only a label that would have no
    example on one side sends its nearest document there.

    Raises:
        InputError: there are no input files.
        DocumentError: a document cannot be used and `on_bad_document` is "fail"; names file and line.
        DatasetError: there is no labelled document or only one class, or a class cannot be on both sides.
    """
    files = list_inputs(config.input_path)
    bad = 0
    labelled: list[_Labelled] = []
    for file in files:
        for document in read_documents(file.path, config.columns):
            checked = _checked(document, config)
            if isinstance(checked, _Labelled):
                labelled.append(checked)
            elif config.on_bad_document == "fail":
                raise checked.error()
            else:
                bad += 1
    _check_classes(labelled, bad, config)
    return _split(labelled, config.validation_fraction, files=len(files), bad=bad)


@dataclass(frozen=True, slots=True)
class _Labelled:
    example: Example
    position: float
    """Hash of (seed, id) as a number in [0, 1)."""


def split_position(seed: int, document_id: str) -> float:
    """Where in [0, 1) a document stands: the first 8 bytes of SHA-256 of `seed:id`, over 2**64."""
    name = f"{seed}:{document_id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big") / 2**64


def _checked(document: Document | BadDocument, config: DatasetConfig) -> _Labelled | BadDocument:
    if isinstance(document, BadDocument):
        return document
    text = normalize(document.text)
    label = document.label
    reason = None
    if label is None:
        reason = f"the document has no {config.columns.label!r}"
    elif not isinstance(label, str) or not label.strip():
        reason = f"{config.columns.label!r} must be a non-empty string, got {label!r}"
    elif is_blank(text):
        reason = f"{config.columns.text!r} is empty"
    if reason is not None:
        return BadDocument(document.path, document.line, reason, document.id, document.source)
    return _Labelled(Example(text, str(label)), split_position(config.seed, document.id))


def _check_classes(labelled: Sequence[_Labelled], bad: int, config: DatasetConfig) -> None:
    where = config.input_path if isinstance(config.input_path, str) else ", ".join(config.input_path)
    if not labelled:
        skipped = f"; {bad} documents were skipped, on_bad_document='fail' names the first of them" if bad else ""
        raise DatasetError(f"no labelled document in {where}{skipped}")
    counts = _count(item.example for item in labelled)
    if len(counts) < 2:
        raise DatasetError(
            f"every document in {where} has the label {next(iter(counts))!r}: a classifier needs at least two classes"
        )
    single = [label for label, count in counts.items() if count < 2]
    if single:
        raise DatasetError(
            f"label {single[0]!r} has one document in {where}: every label needs at least one to train on "
            "and one to validate with"
        )


def _split(labelled: Sequence[_Labelled], fraction: float, *, files: int, bad: int) -> Dataset:
    bounds = _bounds(labelled, fraction)
    train = [item.example for item in labelled if item.position >= bounds[item.example.label]]
    held_out = [item.example for item in labelled if item.position < bounds[item.example.label]]
    known = {example.text for example in train}
    validation = [example for example in held_out if example.text not in known]
    counts = _count(validation)
    for label in bounds:
        if label not in counts:
            raise DatasetError(
                f"no document with the label {label!r} is left to validate with: the texts of all that were held out "
                "are training texts as well; remove duplicates, or raise validation_fraction"
            )
    report = DatasetReport(
        files=files,
        documents=len(labelled) + bad,
        bad=bad,
        train=_count(train),
        validation=counts,
        leaked=len(held_out) - len(validation),
    )
    return Dataset(tuple(train), tuple(validation), report)


def _bounds(labelled: Sequence[_Labelled], fraction: float) -> dict[str, float]:
    """Label → the position below which its documents are held out: `fraction`, unless a side would stay empty."""
    positions: dict[str, list[float]] = {}
    for item in labelled:
        positions.setdefault(item.example.label, []).append(item.position)
    bounds: dict[str, float] = {}
    for label, places in positions.items():
        lowest, highest = min(places), max(places)
        if lowest == highest:
            raise DatasetError(f"all documents with the label {label!r} have one id: ids must tell documents apart")
        second = min(place for place in places if place > lowest)
        bounds[label] = second if fraction <= lowest else min(fraction, highest)
    return bounds


def _count(examples: Iterable[Example]) -> dict[str, int]:
    return dict(sorted(Counter(example.label for example in examples).items()))
