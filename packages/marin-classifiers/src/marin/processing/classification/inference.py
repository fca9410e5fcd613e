"""Classification: every document of a corpus gets its scores, in attribute files beside the documents."""

import itertools
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any

from marin.classifiers.cards import read_card
from marin.classifiers.documents import BadDocument, Document, DocumentColumns, OnBadDocument, read_documents
from marin.classifiers.errors import InputError
from marin.classifiers.inputs import InputFile, check_outside, list_inputs
from marin.classifiers.protocol import Classifier
from marin.classifiers.text import is_blank
from marin.processing.classification.config import ClassificationConfig
from marin.processing.classification.engine import run_over_files, stop_point
from marin.processing.classification.files import read_attributes
from marin.processing.classification.models import shared_classifier, worker_name
from marin.processing.classification.reports import REPORT_NAME, earlier_report, write_report
from marin.storage import absolute, exists, join, make_directory, open_atomic, remove

logger = logging.getLogger(__name__)

EMPTY_TEXT = "the text is empty"
"""The `error` of a row whose document has nothing to classify; fastText would score it like an average document."""


# ASCII, so that a lone surrogate in an id can be written.
_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, kw_only=True, slots=True)
class FileSummary:
    """One finished attribute file."""

    path: str
    """Its path below the output folder."""
    documents: int
    """Rows, as many as the input has documents."""
    scored: int
    """Rows with scores."""
    empty: int
    """Rows without scores because the text is empty."""
    bad: int
    """Rows without scores because the document could not be used."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassificationReport:
    """A finished classification; `_report.json` in the output folder holds the same."""

    output_path: str
    """Folder of the attribute files."""
    documents: int
    """Rows of all files."""
    scored: int
    """Rows with scores."""
    empty: int
    """Rows without scores because the text is empty."""
    bad: int
    """Rows without scores because the document could not be used."""
    reused_files: int
    """Files that an earlier run had finished."""
    workers: int
    """Worker processes that wrote files in this run."""
    model_loads: int
    """How often this run loaded the model: once in each worker process, unless an earlier run had left it there."""
    files: tuple[FileSummary, ...]
    """One for each input file, in the order of their paths."""


@dataclass(frozen=True, slots=True)
class _ScoreJob:
    input: str
    output: str
    relative: str
    model_path: str
    fingerprint: str
    attribute_name: str
    columns: DocumentColumns
    batch_size: int
    on_bad_document: OnBadDocument


@dataclass(frozen=True, slots=True)
class _Scored:
    summary: FileSummary
    worker: str
    loaded: bool
    reused: bool


def run_classification(config: ClassificationConfig) -> ClassificationReport:
    """Score every document on the current cluster and write the attribute files; the function of an executor step.

    A row is `{"id", "source", "attributes": {<attribute_name>: {<label>: probability}}}`. A document without scores
    has null in place of the labels and an `error`. Every input file is a unit of work and its output appears whole,
    so a run that was stopped goes on from the finished files.

    Raises:
        InputError: there are no input files, or the output folder holds scores of another model.
        ModelError: the model folder is missing or damaged.
        DocumentError: a document cannot be used and `on_bad_document` is "fail"; all other files are finished.
        StorageError: the output folder cannot be written.
        ClassificationError: the workers failed for good.
    """
    check_outside(config.output_path, config.input_path)
    output_path = absolute(config.output_path)
    inputs = list_inputs(config.input_path)
    model_path = absolute(config.model_path)
    fingerprint = read_card(model_path).fingerprint
    make_directory(output_path)
    if config.overwrite:
        for file in inputs:
            remove(join(output_path, file.relative))
        remove(join(output_path, REPORT_NAME))
    columns = {"id": config.columns.id, "text": config.columns.text, "source": config.columns.source}
    made_from = {"model": fingerprint, "attribute_name": config.attribute_name, "columns": columns}
    finished = _finished(output_path, made_from)
    write_report(output_path, status="running", made_from=made_from, files=[asdict(done) for done in finished.values()])
    pending = [file for file in inputs if file.relative not in finished]
    jobs = [_job(config, file, output_path, model_path, fingerprint) for file in pending]
    scored = run_over_files(
        _score_file,
        jobs,
        name="classify",
        outputs=[join(output_path, file.relative) for file in inputs],
        output_path=output_path,
        max_workers=config.max_workers,
        resources=config.resources,
    )
    finished.update({item.summary.path: item.summary for item in scored})
    report = _report(output_path, [finished[file.relative] for file in inputs], scored)
    write_report(
        output_path,
        status="complete",
        made_from=made_from,
        **{k: v for k, v in asdict(report).items() if k != "output_path"},
    )
    return report


def _finished(output_path: str, made_from: dict[str, Any]) -> dict[str, FileSummary]:
    """The files that an earlier run finished and counted."""
    report = earlier_report(output_path)
    if report is None:
        return {}
    if report["made_from"] != made_from:
        changed = [name for name, value in made_from.items() if report["made_from"].get(name) != value]
        raise InputError(
            f"{output_path} holds scores that were made with another {' and '.join(changed)}; "
            "choose another output_path, or replace them with overwrite"
        )
    entries = [FileSummary(**entry) for entry in report["files"]]
    return {entry.path: entry for entry in entries if exists(join(output_path, entry.path))}


def _job(
    config: ClassificationConfig, file: InputFile, output_path: str, model_path: str, fingerprint: str
) -> _ScoreJob:
    return _ScoreJob(
        input=file.path,
        output=join(output_path, file.relative),
        relative=file.relative,
        model_path=model_path,
        fingerprint=fingerprint,
        attribute_name=config.attribute_name,
        columns=config.columns,
        batch_size=config.batch_size,
        on_bad_document=config.on_bad_document,
    )


def _report(output_path: str, files: Sequence[FileSummary], scored: Sequence[_Scored]) -> ClassificationReport:
    written = [item for item in scored if not item.reused]
    return ClassificationReport(
        output_path=output_path,
        documents=sum(file.documents for file in files),
        scored=sum(file.scored for file in files),
        empty=sum(file.empty for file in files),
        bad=sum(file.bad for file in files),
        reused_files=len(files) - len(written),
        workers=len({item.worker for item in written}),
        model_loads=sum(item.loaded for item in written),
        files=tuple(files),
    )


def _score_file(job: _ScoreJob) -> _Scored:
    """Runs on a worker. A finished output, of this run's lost worker or of an earlier run, is only counted."""
    if exists(job.output):
        rows = (row for _, row in read_attributes(job.output))
        return _Scored(_summary(job, rows), worker_name(), loaded=False, reused=True)
    classifier, loaded = shared_classifier(job.model_path, job.fingerprint)
    with open_atomic(job.output) as stream:
        summary = _summary(job, _written(_rows(job, classifier), stream))
    return _Scored(summary, worker_name(), loaded=loaded, reused=False)


def _written(rows: Iterable[dict[str, Any]], stream: IO[bytes]) -> Iterator[dict[str, Any]]:
    for row in rows:
        stop_point()
        stream.write(_encode(row).encode() + b"\n")
        yield row


def _rows(job: _ScoreJob, classifier: Classifier) -> Iterator[dict[str, Any]]:
    for batch in itertools.batched(read_documents(job.input, job.columns), job.batch_size):
        texts = [document.text for document in batch if isinstance(document, Document) and not is_blank(document.text)]
        predictions = iter(classifier.predict(texts))
        for document in batch:
            row: dict[str, Any] = {"id": document.id, "source": document.source}
            if isinstance(document, BadDocument):
                if job.on_bad_document == "fail":
                    raise document.error()
                yield {**row, "attributes": {job.attribute_name: None}, "error": document.reason}
            elif is_blank(document.text):
                yield {**row, "attributes": {job.attribute_name: None}, "error": EMPTY_TEXT}
            else:
                yield {**row, "attributes": {job.attribute_name: next(predictions)}}


def _summary(job: _ScoreJob, rows: Iterable[Mapping[str, Any]]) -> FileSummary:
    documents = empty = bad = 0
    for row in rows:
        documents += 1
        if row["attributes"].get(job.attribute_name) is None:
            empty += row.get("error") == EMPTY_TEXT
            bad += row.get("error") != EMPTY_TEXT
    return FileSummary(path=job.relative, documents=documents, scored=documents - empty - bad, empty=empty, bad=bad)
