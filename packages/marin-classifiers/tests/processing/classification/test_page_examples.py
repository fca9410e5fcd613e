import random

import pytest

from marin.classifiers.documents import Document
from marin.processing.classification.page_examples import Extremes, excerpt


def document(name: str, text: str = "text") -> Document:
    return Document("docs.jsonl", 1, name, text, "web", None, b"")


def test_the_highest_and_the_lowest_scores_come_first() -> None:
    scores = [index / 100 for index in range(100)]
    random.Random(3).shuffle(scores)
    highest, lowest = Extremes(3, highest=True), Extremes(3, highest=False)
    for score in scores:
        highest.offer(score, document(str(score)), "docs.jsonl:1")
        lowest.offer(score, document(str(score)), "docs.jsonl:1")
    assert [shown.score for shown in highest.documents] == [0.99, 0.98, 0.97]
    assert [shown.score for shown in lowest.documents] == [0.0, 0.01, 0.02]


def test_equal_scores_are_chosen_from_the_whole_corpus_and_not_by_their_order() -> None:
    names = [str(index) for index in range(1_000)]
    chosen: list[list[str]] = []
    for order in (names, names[::-1]):
        extremes = Extremes(10, highest=True)
        for name in order:
            extremes.offer(1.0, document(name), "docs.jsonl:1")
        chosen.append([shown.id for shown in extremes.documents])
    assert chosen[0] == chosen[1]
    assert max(map(int, chosen[0])) > 500


def test_fewer_documents_than_wanted_and_none_wanted() -> None:
    few, none = Extremes(5, highest=True), Extremes(0, highest=True)
    few.offer(0.5, document("a"), "docs.jsonl:7")
    none.offer(0.5, document("a"), "docs.jsonl:7")
    assert [(shown.id, shown.source, shown.place) for shown in few.documents] == [("a", "web", "docs.jsonl:7")]
    assert none.documents == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short", "short"),
        ("a\r\n\r\n\n b", "a\n\n b"),
        ("\n\n  led by blanks", "led by blanks"),
        ("x" * 300, "x" * 300),
        ("x" * 301, "x" * 300 + " …"),
        ("\n".join("abcdefghi"), "\n".join("abcdefgh") + " …"),
        ("", ""),
    ],
)
def test_excerpts(text: str, expected: str) -> None:
    assert excerpt(text) == expected
