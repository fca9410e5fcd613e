"""The numbers of a scored corpus, gathered in one pass and in bounded memory."""

from collections.abc import Iterator, Sequence
from typing import Any

from marin.classifiers.documents import BadDocument, Document, DocumentColumns
from marin.classifiers.errors import InputError
from marin.classifiers.inputs import InputFile
from marin.execution.progress import report_progress
from marin.processing.classification.page_examples import Extremes
from marin.processing.classification.page_sources import Distribution, SourceNumbers, source_name
from marin.processing.classification.scores import KeptRows, ScoreColumn, read_scored
from marin.storage import absolute, exists, join

MAX_SOURCES = 1000
"""Sources that are told apart, the first ones of the corpus; all others are counted together."""
PROGRESS_DOCUMENTS = 1000
"""Documents between two reports of progress."""


class Corpus:
    """A scored corpus at a threshold; `add` takes one document after the other."""

    def __init__(self, *, label: str, threshold: float, examples: int) -> None:
        self._label = label
        self._threshold = threshold
        self.documents = 0
        self.kept = 0
        self.unscored = 0
        self.against_threshold = 0
        """Scored documents that were kept below the threshold, or dropped although they reach it."""
        self.kept_scores = Distribution()
        self.dropped_scores = Distribution()
        self.best_kept = Extremes(examples, highest=True)
        self.worst_kept = Extremes(examples, highest=False)
        self.best_dropped = Extremes(examples, highest=True)
        self._sources: dict[str | None, SourceNumbers] = {}
        self._other_sources: SourceNumbers | None = None

    @property
    def scored(self) -> int:
        """Documents with a score."""
        return self.documents - self.unscored

    @property
    def dropped(self) -> int:
        """Documents with a score that were not kept."""
        return self.dropped_scores.size

    @property
    def labelled(self) -> int:
        """Scored documents that carry a label."""
        return sum(source.labelled for source in self._all_sources())

    def add(self, document: Document | BadDocument, score: float | None, kept: bool | None, place: str) -> None:
        """Count a document.

        Args:
            document: The document.
            score: Its score, if it has one.
            kept: Whether it was kept; None where the threshold alone decides.
            place: `file:line` of it.
        """
        self.documents += 1
        passes = score is not None and score >= self._threshold
        kept = passes if kept is None else kept
        self.kept += kept
        source = self._source(document.source)
        source.documents += 1
        source.kept += kept
        if score is None or isinstance(document, BadDocument):
            self.unscored += 1
            return
        self.against_threshold += kept != passes
        source.scores.add(score)
        if isinstance(document.label, str):
            source.labelled += 1
            source.misplaced += passes != (document.label == self._label)
        (self.kept_scores if kept else self.dropped_scores).add(score)
        for extremes in (self.best_kept, self.worst_kept) if kept else (self.best_dropped,):
            extremes.offer(score, document, place)

    def largest_sources(self, size: int) -> tuple[list[SourceNumbers], SourceNumbers | None, int]:
        """The `size` sources of the most documents, all others as one, and how many those are.

        The number counts only sources that were told apart (`MAX_SOURCES`).
        """
        ranked = sorted(self._sources.values(), key=lambda source: (-source.documents, source.name or ""))
        if len(ranked) <= size and self._other_sources is None:
            return ranked, None, 0
        rest = SourceNumbers(name=None)
        for source in [*ranked[size:], *([self._other_sources] if self._other_sources else [])]:
            rest.merge(source)
        return ranked[:size], rest, len(ranked[size:])

    def most_misplaced(self, size: int) -> list[SourceNumbers]:
        """At most `size` sources with misplaced documents, those with the most of them first."""
        wrong = [source for source in self._sources.values() if source.misplaced]
        return sorted(wrong, key=lambda source: (-source.misplaced, source.name or ""))[:size]

    def _all_sources(self) -> list[SourceNumbers]:
        return [*self._sources.values(), *([self._other_sources] if self._other_sources else [])]

    def _source(self, source: Any) -> SourceNumbers:
        name = source_name(source)
        found = self._sources.get(name)
        if found is not None:
            return found
        if len(self._sources) < MAX_SOURCES:
            return self._sources.setdefault(name, SourceNumbers(name))
        if self._other_sources is None:
            self._other_sources = SourceNumbers(None)
        return self._other_sources


def read_corpus(
    files: Sequence[InputFile],
    *,
    attributes_path: str,
    attribute_name: str,
    label: str,
    threshold: float,
    kept_path: str | None,
    columns: DocumentColumns,
    examples: int,
) -> Corpus:
    """Read `files` and what belongs to them, a row at a time.

    Args:
        files: The documents.
        attributes_path: Folder of their attribute files.
        attribute_name: Name of the scores.
        label: The label whose probability is the score.
        threshold: The smallest score that passes.
        kept_path: Folder of the consolidated documents; None: what passes is kept.
        columns: Where a document's parts are found.
        examples: How many documents each list of examples holds.

    Raises:
        InputError: a file is missing, or rows do not fit together; names the file and the line.
        StorageError: a file cannot be read.
    """
    corpus = Corpus(label=label, threshold=threshold, examples=examples)
    for file in files:
        scores = ScoreColumn(
            path=_beside(file, attributes_path, "attribute file", "classify the documents first"),
            attribute_name=attribute_name,
            label=label,
        )
        kept = kept_path and _beside(file, kept_path, "consolidated file", "consolidate the documents first")
        for document, score, is_kept in _rows(file.path, columns, scores, kept):
            corpus.add(document, score, is_kept, f"{file.relative}:{document.line}")
            if corpus.documents % PROGRESS_DOCUMENTS == 0:
                report_progress(corpus.documents)
    report_progress(corpus.documents, corpus.documents)
    return corpus


def _rows(
    path: str, columns: DocumentColumns, scores: ScoreColumn, kept_path: str | None
) -> Iterator[tuple[Document | BadDocument, float | None, bool | None]]:
    kept = KeptRows(kept_path, columns) if kept_path else None
    for document, (score,) in read_scored(path, columns, [scores]):
        yield document, score, None if kept is None else kept.take(document)
    if kept is not None:
        kept.check_empty(path)


def _beside(file: InputFile, folder: str, kind: str, remedy: str) -> str:
    path = join(absolute(folder), file.relative)
    if not exists(path):
        raise InputError(f"{file.path} has no {kind} {path}: {remedy}")
    return path
