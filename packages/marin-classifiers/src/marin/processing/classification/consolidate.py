"""Consolidation: keep the documents whose scores pass, in files that mirror the inputs."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from marin.classifiers.documents import BadDocument, DocumentColumns
from marin.classifiers.errors import InputError
from marin.classifiers.inputs import InputFile, check_outside, list_inputs
from marin.classifiers.validation import check
from marin.errors import UsageError
from marin.processing.classification.config import worker_resources
from marin.processing.classification.engine import run_over_files, stop_point
from marin.processing.classification.reports import earlier_report, write_report
from marin.processing.classification.scores import ScoreColumn, read_scored
from marin.resources.config import ResourceConfig
from marin.storage import absolute, exists, join, make_directory, open_atomic


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreFilter:
    """Keeps a document whose score p has lower_threshold <= p <= upper_threshold.

    Raises:
        UsageError: neither threshold is given, or they leave nothing.
    """

    attributes_path: str
    """Folder of attribute files with the relative paths of the documents' files."""
    attribute_name: str
    """Name of the scores."""
    label: str
    """The label whose probability is compared."""
    lower_threshold: float | None = None
    """Smallest probability that passes; None is no bound."""
    upper_threshold: float | None = None
    """Largest probability that passes; None is no bound."""

    def __post_init__(self) -> None:
        if self.lower_threshold is None and self.upper_threshold is None:
            raise UsageError("a filter needs lower_threshold, upper_threshold or both")
        for name in ("lower_threshold", "upper_threshold"):
            check(name, getattr(self, name), lambda value: value is None or 0 <= value <= 1, "in [0, 1]")

    def passes(self, score: float) -> bool:
        """Whether a document of this score is kept."""
        return (self.lower_threshold is None or score >= self.lower_threshold) and (
            self.upper_threshold is None or score <= self.upper_threshold
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsolidateConfig:
    """Documents, the scores they must have, and where the kept ones go.

    Raises:
        UsageError: there is no filter, or a value is out of range.
    """

    input_path: str | Sequence[str]
    """Files, folders or globs of documents: those that were classified."""
    output_path: str
    """Folder of the kept documents, one file for each input file with the same relative path, perhaps empty."""
    filters: Sequence[ScoreFilter]
    """A document is kept if it passes all of them."""
    columns: DocumentColumns = field(default_factory=DocumentColumns)
    """Where a document's parts are found."""
    max_workers: int = 4
    """Most workers at once; never more than there are files to read."""
    resources: ResourceConfig = field(default_factory=worker_resources)
    """What each worker asks of the cluster."""

    def __post_init__(self) -> None:
        check("filters", self.filters, lambda filters: len(filters) >= 1, "at least one filter")
        check("max_workers", self.max_workers, lambda workers: workers >= 1, "at least 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsolidatedFile:
    """One finished output file."""

    path: str
    """Its path below the output folder."""
    documents: int
    """Rows of the input."""
    kept: int
    """Documents that passed, unchanged and in order."""
    unscored: int
    """Rows without a score (empty or bad documents), which are not kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsolidateReport:
    """A finished consolidation; `_report.json` in the output folder holds the same."""

    output_path: str
    """Folder of the kept documents."""
    documents: int
    """Rows of all inputs."""
    kept: int
    """Documents that passed."""
    unscored: int
    """Rows without a score, which are not kept."""
    reused_files: int
    """Files that an earlier run with the same filters had finished."""
    files: tuple[ConsolidatedFile, ...]
    """One for each input file, in the order of their paths."""


@dataclass(frozen=True, slots=True)
class _FilterJob:
    input: str
    output: str
    relative: str
    filters: tuple[ScoreFilter, ...]
    columns: DocumentColumns


def consolidate(config: ConsolidateConfig) -> ConsolidateReport:
    """Write the documents that pass all filters, on the current cluster; the function of an executor step.

    Documents and attribute rows are joined by position, and their ids are compared row by row. Files that an earlier
    run with the same filters has finished are kept; with other filters all are written anew.

    Raises:
        InputError: there are no input files, an attribute file is missing or out of step with its documents, or it
            lacks the attribute or the label; names the file and the line.
        StorageError: the output folder cannot be written.
        ClassificationError: the workers failed for good.
    """
    check_outside(config.output_path, config.input_path)
    output_path = absolute(config.output_path)
    inputs = list_inputs(config.input_path)
    filters = tuple(config.filters)
    for filtered, file in itertools.product(filters, inputs):
        if not exists(path := join(absolute(filtered.attributes_path), file.relative)):
            raise InputError(f"{file.path} has no attribute file {path}: classify the documents first")
    make_directory(output_path)
    made_from = {"filters": [asdict(filtered) for filtered in filters]}
    finished = _finished(output_path, made_from)
    write_report(output_path, status="running", made_from=made_from, files=[asdict(done) for done in finished.values()])
    pending = [file for file in inputs if file.relative not in finished]
    written = run_over_files(
        _filter_file,
        [_job(file, output_path, filters, config.columns) for file in pending],
        name="consolidate",
        outputs=[join(output_path, file.relative) for file in inputs],
        output_path=output_path,
        max_workers=config.max_workers,
        resources=config.resources,
    )
    finished.update({done.path: done for done in written})
    files = tuple(finished[file.relative] for file in inputs)
    counts = {
        "documents": sum(file.documents for file in files),
        "kept": sum(file.kept for file in files),
        "unscored": sum(file.unscored for file in files),
        "reused_files": len(files) - len(written),
    }
    write_report(output_path, status="complete", made_from=made_from, files=[asdict(file) for file in files], **counts)
    return ConsolidateReport(output_path=output_path, files=files, **counts)


def _finished(output_path: str, made_from: dict[str, Any]) -> dict[str, ConsolidatedFile]:
    report = earlier_report(output_path)
    if report is None or report["made_from"] != made_from:
        return {}
    entries = [ConsolidatedFile(**entry) for entry in report["files"]]
    return {entry.path: entry for entry in entries if exists(join(output_path, entry.path))}


def _job(file: InputFile, output_path: str, filters: tuple[ScoreFilter, ...], columns: DocumentColumns) -> _FilterJob:
    return _FilterJob(file.path, join(output_path, file.relative), file.relative, filters, columns)


def _filter_file(job: _FilterJob) -> ConsolidatedFile:
    """Runs on a worker."""
    columns = [
        ScoreColumn(
            path=join(absolute(rule.attributes_path), job.relative),
            attribute_name=rule.attribute_name,
            label=rule.label,
        )
        for rule in job.filters
    ]
    documents = kept = unscored = 0
    with open_atomic(job.output) as stream:
        for document, scores in read_scored(job.input, job.columns, columns):
            stop_point()
            documents += 1
            if isinstance(document, BadDocument) or None in scores:
                unscored += 1
            elif all(rule.passes(score) for rule, score in zip(job.filters, scores, strict=True) if score is not None):
                kept += 1
                stream.write(document.data.rstrip(b"\r\n") + b"\n")
    return ConsolidatedFile(path=job.relative, documents=documents, kept=kept, unscored=unscored)
