"""The documents that a page shows: those of the highest and of the lowest scores."""

import heapq
import re
from dataclasses import dataclass
from hashlib import blake2b

from marin.classifiers.documents import Document
from marin.processing.classification.page_sources import NAME_CHARACTERS, clip, source_name

EXCERPT_CHARACTERS = 300
"""Most characters of a text that an example shows."""
EXCERPT_LINES = 8
"""Most lines of a text that an example shows."""

_BLANK_LINES = re.compile(r"\n\s*\n")


@dataclass(frozen=True, slots=True)
class ShownDocument:
    """A document as an example shows it."""

    score: float
    """Its score."""
    id: str
    """The beginning of its id."""
    source: str | None
    """The beginning of its source; None if it names none."""
    place: str
    """`file:line` below the documents' folder."""
    text: str
    """The beginning of its text."""


class Extremes:
    """The documents of the highest or of the lowest scores, best first.

    A classifier gives many documents the very same score. A hash of the id chooses among them, so that the examples
    are not all from the first file, and yet the same every time.
    """

    def __init__(self, size: int, *, highest: bool) -> None:
        self._size = size
        self._sign = 1 if highest else -1
        self._heap: list[tuple[float, bytes, int, ShownDocument]] = []
        self._offered = 0

    def offer(self, score: float, document: Document, place: str) -> None:
        """Take `document` if it is among the best so far."""
        self._offered += 1
        full = len(self._heap) >= self._size
        value = self._sign * score
        if full and (not self._heap or value < self._heap[0][0]):
            return
        digest = blake2b(document.id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        rank = (value, digest, -self._offered)
        if full and rank < self._heap[0][:3]:
            return
        entry = (*rank, _shown(score, document, place))
        if full:
            heapq.heapreplace(self._heap, entry)
        else:
            heapq.heappush(self._heap, entry)

    @property
    def documents(self) -> list[ShownDocument]:
        """What was taken."""
        return [entry[3] for entry in sorted(self._heap, reverse=True)]


def _shown(score: float, document: Document, place: str) -> ShownDocument:
    return ShownDocument(
        score=score,
        id=clip(document.id, NAME_CHARACTERS),
        source=source_name(document.source),
        place=place,
        text=excerpt(document.text),
    )


def excerpt(text: str) -> str:
    """The beginning of `text`, at most `EXCERPT_CHARACTERS` and `EXCERPT_LINES`, with an ellipsis where it is cut."""
    start = text.strip()  # leading blank lines would be all that is seen
    lines = _BLANK_LINES.sub("\n\n", start[:EXCERPT_CHARACTERS]).splitlines()
    shown = "\n".join(lines[:EXCERPT_LINES]).rstrip()
    cut = len(lines) > EXCERPT_LINES or len(start) > EXCERPT_CHARACTERS
    return f"{shown} …" if cut else shown
