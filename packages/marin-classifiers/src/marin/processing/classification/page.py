"""A page about a scored corpus: how good the classifier is, what was kept, and what the documents look like."""

import importlib.resources
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from marin.classifiers.cards import ModelCard, read_card
from marin.classifiers.documents import DocumentColumns
from marin.classifiers.inputs import list_inputs
from marin.classifiers.metrics import CURVE_POINTS, thin
from marin.classifiers.validation import check
from marin.errors import MissingRequirementError
from marin.processing.classification.page_charts import calibration_chart, curve_chart, score_chart
from marin.processing.classification.page_corpus import MAX_SOURCES, Corpus, read_corpus
from marin.processing.classification.page_sources import NEAR_CONSTANT_SPREAD
from marin.processing.classification.page_validation import (
    WANTED_F1,
    Validation,
    choose_threshold,
    read_validation,
    shortfall,
)
from marin.storage import absolute, join, write_text

PAGE_NAME = "index.html"
"""File name of the page."""
INSTALL = "uv pip install 'marin-classifiers[report]'"
"""Installs what draws the page."""
HISTOGRAM_BARS = 40
"""Bars of the histogram of all scores."""
SOURCE_BARS = 20
"""Bars of the histogram of one source."""
SHOWN_SOURCES = 40
"""Sources with a row of their own, those of the most documents."""
TABLE_POINTS = 12
"""Points of the precision-recall curve that the table beside it gives."""

_NOTHING = "\N{EN DASH}"
# What no page may hold (lone surrogates cannot be written at all), or would show as nothing.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, kw_only=True, slots=True)
class PageConfig:
    """A page about the documents that a classifier scored.

    Raises:
        UsageError: a value is out of range.
    """

    title: str
    """Heading of the page."""
    documents_path: str | Sequence[str]
    """Files, folders or globs of documents: those that were classified."""
    attributes_path: str
    """Folder of attribute files with the relative paths of the documents' files."""
    attribute_name: str
    """Name of the scores."""
    model_path: str
    """Model folder; its card tells how the model was made and how good it is."""
    label: str
    """The label that documents are wanted to have; its probability is a document's score."""
    output_path: str
    """Folder of the page, `index.html`."""
    kept_path: str | None = None
    """Folder of the consolidated documents; None: what reaches the threshold counts as kept."""
    threshold: float | None = None
    """The smallest score that passes; None is the one of the best F1 in the model's card."""
    examples: int = 10
    """Documents in each list of examples."""
    columns: DocumentColumns = field(default_factory=DocumentColumns)
    """Where a document's parts are found. Labels are optional; with them, errors are traced to sources."""

    def __post_init__(self) -> None:
        for name in ("title", "documents_path", "attributes_path", "attribute_name", "model_path", "label"):
            check(name, getattr(self, name), bool, "given")
        check("output_path", self.output_path, bool, "a folder")
        check("kept_path", self.kept_path, lambda path: path is None or bool(path), "a folder or None")
        check("threshold", self.threshold, lambda score: score is None or 0 <= score <= 1, "in [0, 1] or None")
        check("examples", self.examples, lambda count: 0 <= count <= 1000, "from 0 to 1000")


def write_page(config: PageConfig) -> str:
    """Write the page and return its path; the function of an executor step.

    The page is one HTML file that needs no other and no network. The same inputs give the same bytes. The corpus is
    read once, a row at a time, in memory that does not grow with it.

    Raises:
        UsageError: the label or the threshold does not fit the model.
        InputError: there are no documents, a file is missing, or rows do not fit together; names the file and the line.
        ModelError: the model folder has no readable card.
        MissingRequirementError: the extra `report` is not installed.
        StorageError: a file cannot be read, or the page cannot be written.
    """
    _check_requirements()
    card = read_card(absolute(config.model_path))
    threshold = choose_threshold(card, config.label, config.threshold)
    validation = read_validation(card, config.label, threshold)
    corpus = read_corpus(
        list_inputs(config.documents_path),
        attributes_path=config.attributes_path,
        attribute_name=config.attribute_name,
        label=config.label,
        threshold=threshold,
        kept_path=config.kept_path,
        columns=config.columns,
        examples=config.examples,
    )
    path = join(absolute(config.output_path), PAGE_NAME)
    write_text(path, _render(_contents(config, card, threshold, validation, corpus)))
    return path


def _check_requirements() -> None:
    try:
        import jinja2
        import matplotlib
    except ImportError as error:
        raise MissingRequirementError(f"the page needs {error.name}; install it with: {INSTALL}") from error
    del jinja2, matplotlib


def _contents(
    config: PageConfig, card: ModelCard, threshold: float, validation: Validation | None, corpus: Corpus
) -> dict[str, Any]:
    """All that the template shows."""
    sources, other_sources, other_count = corpus.largest_sources(SHOWN_SOURCES)
    kept, dropped = corpus.kept_scores.bars(HISTOGRAM_BARS), corpus.dropped_scores.bars(HISTOGRAM_BARS)
    return {
        "config": config,
        "documents_paths": [config.documents_path] if isinstance(config.documents_path, str) else config.documents_path,
        "card": card,
        "threshold": threshold,
        "validation": validation,
        "thinned": validation is not None and len(validation.curve) >= CURVE_POINTS,
        "wanted_f1": WANTED_F1,
        "reasons": [] if validation is None else shortfall(validation, corpus),
        "corpus": corpus,
        "sources": sources,
        "other_sources": other_sources,
        "other_count": other_count,
        "max_sources": MAX_SOURCES,
        "source_bars": SOURCE_BARS,
        "spread": NEAR_CONSTANT_SPREAD,
        "score_rows": _score_rows(kept, dropped),
        "score_chart": score_chart(kept, dropped, threshold) if corpus.scored else None,
        **_validation_charts(validation),
    }


def _score_rows(kept: Sequence[int], dropped: Sequence[int]) -> list[tuple[float, float, int, int]]:
    """From, to, kept, dropped of every second pair of bars."""
    pairs = range(0, len(kept), 2)
    width = 1 / len(kept)
    return [(at * width, (at + 2) * width, sum(kept[at : at + 2]), sum(dropped[at : at + 2])) for at in pairs]


def _validation_charts(validation: Validation | None) -> dict[str, Any]:
    if validation is None or not validation.curve:
        return {"curve_chart": None, "curve_rows": [], "calibration_chart": None, "calibration": []}
    bins = len(validation.positive_histogram)
    calibration = [
        ((index + 0.5) / bins, positive / (positive + rest), positive + rest)
        for index, (positive, rest) in enumerate(
            zip(validation.positive_histogram, validation.rest_histogram, strict=True)
        )
        if positive + rest
    ]
    return {
        "curve_chart": curve_chart(validation.curve, validation.chosen),
        "curve_rows": thin(validation.curve, TABLE_POINTS),
        "calibration_chart": calibration_chart(calibration),
        "calibration": calibration,
    }


def _render(contents: dict[str, Any]) -> str:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: dict[str, Any] = cast(dict[str, Any], environment.filters)
    filters.update(count=_count, score=_score, percent=_percent)
    return environment.get_template("page.html.jinja").render(contents)


def _template(name: str) -> str:
    return importlib.resources.files("marin.processing.classification").joinpath(name).read_text("utf-8")


def _printable(value: Any) -> Any:
    """What the template shows of `value`: a text without characters that would break the page; markup as it is."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return _UNPRINTABLE.sub("\ufffd", value)


def _count(value: int) -> str:
    return f"{value:,}"


def _score(value: float | None, digits: int = 4) -> str:
    return _NOTHING if value is None else f"{value:.{digits}f}"


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else _NOTHING
