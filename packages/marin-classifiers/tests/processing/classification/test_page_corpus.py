from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from marin.classifiers.documents import BadDocument, Document, DocumentColumns
from marin.classifiers.errors import InputError
from marin.classifiers.inputs import list_inputs
from marin.processing.classification.page_corpus import MAX_SOURCES, Corpus, read_corpus


def make(threshold: float = 0.5) -> Corpus:
    return Corpus(label="good", threshold=threshold, examples=3)


def document(name: str, source: Any = "web", label: str | None = None) -> Document:
    return Document("docs.jsonl", 1, name, f"text of {name}", source, label, b"")


def add(corpus: Corpus, item: Document | BadDocument, score: float | None, kept: bool | None = None) -> None:
    corpus.add(item, score, kept, "docs.jsonl:1")


def test_every_document_is_counted_once() -> None:
    corpus = make()
    add(corpus, document("a"), 0.5)
    add(corpus, document("b"), 0.49)
    add(corpus, document("c"), None)
    add(corpus, BadDocument("docs.jsonl", 4, "not JSON", source="mail"), None)
    assert (corpus.documents, corpus.scored, corpus.kept, corpus.dropped, corpus.unscored) == (4, 2, 1, 1, 2)
    sources, other, _ = corpus.largest_sources(10)
    assert [(source.name, source.documents, source.kept) for source in sources] == [("web", 3, 1), ("mail", 1, 0)]
    assert other is None


def test_what_was_kept_counts_whatever_the_threshold_says() -> None:
    corpus = make()
    add(corpus, document("a"), 0.9, kept=False)
    add(corpus, document("b"), 0.1, kept=True)
    add(corpus, document("c"), 0.8, kept=True)
    assert (corpus.kept, corpus.dropped, corpus.against_threshold) == (2, 1, 2)
    assert [shown.id for shown in corpus.best_kept.documents] == ["c", "b"]
    assert [shown.id for shown in corpus.worst_kept.documents] == ["b", "c"]
    assert [shown.id for shown in corpus.best_dropped.documents] == ["a"]


def test_misplaced_documents_are_those_of_the_wrong_side_that_have_a_label() -> None:
    corpus = make()
    for name, source, score, label in (
        ("a", "web", 0.9, "good"),
        ("b", "web", 0.9, "bad"),
        ("c", "mail", 0.1, "good"),
        ("d", "mail", 0.2, "good"),
        ("e", "mail", 0.2, None),
    ):
        add(corpus, document(name, source, label), score)
    assert corpus.labelled == 4
    assert [(source.name, source.misplaced, source.labelled) for source in corpus.most_misplaced(5)] == [
        ("mail", 2, 2),
        ("web", 1, 2),
    ]


def test_many_sources_are_counted_together_and_none_is_lost() -> None:
    corpus = make()
    for index in range(MAX_SOURCES + 50):
        add(corpus, document(str(index), f"source {index}", "good"), 0.9)
    add(corpus, document("more", "source 7"), 0.9)
    shown, other, count = corpus.largest_sources(40)
    assert other is not None
    assert shown[0].name == "source 7"
    assert (len(shown), other.documents, count) == (40, MAX_SOURCES + 51 - 41, MAX_SOURCES - 40)
    assert (other.kept, other.scores.size) == (other.documents, other.documents)
    assert corpus.labelled == MAX_SOURCES + 50


@pytest.fixture
def read(write_rows: Callable[[str, list[Any]], Path], tmp_path: Path) -> Callable[..., Corpus]:
    rows = [{"id": name, "text": name, "source": "web"} for name in "abc"]
    for file in ("x/0.jsonl", "x/1.jsonl.gz"):
        write_rows(f"docs/{file}", rows)
        scored = [
            {"id": name, "attributes": {"q": {"good": score}}}
            for name, score in zip("abc", (0.1, 0.6, 0.9), strict=True)
        ]
        write_rows(f"scores/{file}", scored)
        write_rows(f"kept/{file}", rows[1:])

    def run(kept_path: str | None = None) -> Corpus:
        return read_corpus(
            list_inputs(str(tmp_path / "docs")),
            attributes_path=str(tmp_path / "scores"),
            attribute_name="q",
            label="good",
            threshold=0.5,
            kept_path=kept_path,
            columns=DocumentColumns(),
            examples=3,
        )

    return run


def test_files_are_joined_with_their_scores_and_what_was_kept(read, tmp_path: Path) -> None:
    for corpus in (read(), read(str(tmp_path / "kept"))):
        assert (corpus.documents, corpus.kept, corpus.against_threshold) == (6, 4, 0)
        assert {shown.place for shown in corpus.best_dropped.documents} == {"x/0.jsonl:1", "x/1.jsonl.gz:1"}


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("scores/x/1.jsonl.gz", r"docs/x/1\.jsonl\.gz has no attribute file .*scores/x/1\.jsonl\.gz: classify"),
        ("kept/x/0.jsonl", r"docs/x/0\.jsonl has no consolidated file .*kept/x/0\.jsonl: consolidate"),
    ],
)
def test_a_missing_file_is_named(read, tmp_path: Path, missing: str, message: str) -> None:
    (tmp_path / missing).unlink()
    with pytest.raises(InputError, match=message):
        read(str(tmp_path / "kept"))


def test_a_kept_row_that_is_no_document_is_named(read, write_rows, tmp_path: Path) -> None:
    write_rows("kept/x/0.jsonl", [{"id": "b", "text": "b"}, {"id": "z", "text": "z"}])
    with pytest.raises(InputError, match=r"kept/x/0\.jsonl:2 \(id 'z'\) is not among the documents of .*docs/x/0"):
        read(str(tmp_path / "kept"))
