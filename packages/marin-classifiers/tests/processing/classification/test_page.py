import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from marin.classifiers.cards import ModelCard, read_card, write_card
from marin.classifiers.errors import InputError, ModelError
from marin.classifiers.metrics import evaluate
from marin.errors import MissingRequirementError, UsageError
from marin.processing.classification.consolidate import ConsolidateConfig, ScoreFilter, consolidate
from marin.processing.classification.inference import run_classification
from marin.processing.classification.page import PageConfig, write_page
from marin.storage import StorageError

VOID = {"meta", "link", "br", "img", "rect"}


class Page(HTMLParser):
    """Reads a page strictly: every element is closed in its place."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.cells: list[str] = []
        self.examples: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")
        if tag == "pre":
            self.examples.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.words.append(data)
        for tag, texts in (("td", self.cells), ("th", self.cells), ("pre", self.examples)):
            if tag in self.open:
                texts[-1] += data

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def row(self, name: str) -> list[str]:
        """The cells of the table row that begins with `name`, and what follows them."""
        stripped = [cell.strip() for cell in self.cells]
        return stripped[stripped.index(name) :]


def read_page(path: str) -> Page:
    return Page(Path(path).read_bytes().decode("utf-8"))


@pytest.fixture
def small(write_rows: Callable[[str, list[Any]], Path], tmp_path: Path) -> Callable[..., PageConfig]:
    """A corpus of the given documents and scores, and a model that knows the labels good and bad."""
    predictions = [{"good": score, "bad": 1 - score} for score in (0.9, 0.7, 0.6, 0.2)]
    metrics = evaluate(predictions, ["good", "good", "bad", "bad"], "good")
    card = ModelCard(backend="length", labels=("bad", "good"), positive_label="good", files={}, metrics=metrics)
    write_card(str(tmp_path / "model"), card)

    def make(rows: list[tuple[dict[str, Any], float | None]], **values: Any) -> PageConfig:
        write_rows("documents/0.jsonl", [row for row, _ in rows])
        scores = [
            {"id": row["id"], "attributes": {"q": None if score is None else {"good": score, "bad": 1 - score}}}
            for row, score in rows
        ]
        write_rows("scores/0.jsonl", scores)
        arguments: dict[str, Any] = {
            "title": "A small corpus",
            "documents_path": str(tmp_path / "documents"),
            "attributes_path": str(tmp_path / "scores"),
            "attribute_name": "q",
            "model_path": str(tmp_path / "model"),
            "label": "good",
            "output_path": str(tmp_path / "page"),
        }
        return PageConfig(**{**arguments, **values})

    return make


def rows(*scores: float | None) -> list[tuple[dict[str, Any], float | None]]:
    return [
        ({"id": f"d{index}", "text": f"text {index}", "source": "even" if index % 2 == 0 else "odd"}, score)
        for index, score in enumerate(scores)
    ]


@pytest.mark.usefixtures("local_cluster")
def test_the_page_of_a_real_run_says_what_the_run_reported(configure, corpus, length_model: str, tmp_path) -> None:
    classified = run_classification(configure())
    threshold = read_card(length_model).metrics["positive"]["threshold"]
    rule = ScoreFilter(
        attributes_path=classified.output_path, attribute_name="quality", label="long", lower_threshold=threshold
    )
    kept = consolidate(
        ConsolidateConfig(input_path=str(corpus.path), output_path=str(tmp_path / "kept"), filters=(rule,))
    )
    page = read_page(
        write_page(
            PageConfig(
                title="Long documents",
                documents_path=str(corpus.path),
                attributes_path=classified.output_path,
                attribute_name="quality",
                model_path=length_model,
                kept_path=kept.output_path,
                label="long",
                output_path=str(tmp_path / "page"),
            )
        )
    )
    assert (kept.documents, kept.kept) == (600, 200)
    assert "Documents 600 600 scored" in page.text
    assert "Kept 200 33.3% of all" in page.text
    assert "Dropped 400 66.7% of all" in page.text
    assert "Validation F1 1.0000 precision 1.0000, recall 1.0000" in page.text
    assert page.row("web")[1:4] == ["600", "200", "33.3%"]
    assert len(page.examples) == 30
    assert {text[0] for text in page.examples} == {"x"}
    assert page.tags.count("svg") == 4  # three charts and the histogram of the one source
    assert read_card(length_model).fingerprint in page.text
    assert "below 0.95" not in page.text
    assert "further filters" not in page.text


def test_numbers_are_those_of_the_data(small) -> None:
    page = read_page(write_page(small(rows(0.9, 0.1, 0.7, 0.699, None, 0.3))))
    assert "kept from 0.7000 upwards" in page.text  # the best F1 of the model is there
    assert "Documents 6 5 scored Kept 2 33.3% of all Dropped 3 50.0% of all Unscored 1" in page.text
    assert page.row("even")[1:5] == ["3", "2", "66.7%", ""]
    assert page.row("even")[5:9] == ["0.800", "0.700", "0.700", "0.900"]
    assert page.row("odd")[1:4] == ["3", "0", "0.0%"]
    assert page.examples == ["text 0", "text 2", "text 2", "text 0", "text 3", "text 5", "text 1"]
    assert page.row("0.70 \N{EN DASH} 0.75")[1:3] == ["1", "0"]


def test_a_given_threshold_moves_what_is_kept(small) -> None:
    page = read_page(write_page(small(rows(0.9, 0.1, 0.7), threshold=0.8, examples=1)))
    assert "Threshold 0.8000 given" in page.text
    assert page.examples == ["text 0", "text 0", "text 2"]


def test_a_low_f1_is_explained(small) -> None:
    labelled = [({**row, "label": "bad"}, score) for row, score in rows(0.9, 0.1)]
    page = read_page(write_page(small(labelled, threshold=0.5)))
    assert "Validation F1 is 0.8000, below 0.95." in page.text
    assert "Of 2 validation documents that have the label, 0 score below the threshold; of 2 others, 1 reach it." in (
        page.text
    )
    assert "most errors are in the sources: even (1 of 1)." in page.text


def test_documents_kept_by_another_rule_are_noted(small, write_rows, tmp_path: Path) -> None:
    config = small(rows(0.9, 0.1, 0.8), kept_path=str(tmp_path / "kept"))
    write_rows("kept/0.jsonl", [{"id": "d1", "text": "text 1"}, {"id": "d2", "text": "text 2"}])
    page = read_page(write_page(config))
    assert "2 documents were kept below the threshold or dropped although they reach it" in page.text
    assert page.examples == ["text 2", "text 1", "text 1", "text 2", "text 0"]


def test_an_empty_corpus_and_one_without_scores(small) -> None:
    empty = read_page(write_page(small([])))
    assert "Documents 0 0 scored Kept 0 \N{EN DASH} of all" in empty.text
    assert "The corpus has no documents." in empty.text
    assert "No document was kept." in empty.text
    unscored = read_page(write_page(small(rows(None, None))))
    assert "No document has a score." in unscored.text
    assert unscored.row("even")[1:9] == ["1", "0", "0.0%", "", *["\N{EN DASH}"] * 4]


def test_a_card_without_measures(small, tmp_path: Path) -> None:
    config = small(rows(0.9, 0.1), threshold=0.5)
    write_card(config.model_path, replace(read_card(config.model_path), metrics={}))
    page = read_page(write_page(config))
    assert "card holds no measures." in page.text
    assert "Validation F1" not in page.text


def test_another_label_than_the_trained_one(small) -> None:
    page = read_page(write_page(small(rows(0.9, 0.1), label="bad", threshold=0.5)))
    assert page.examples == ["text 1", "text 1", "text 0"]
    assert "card holds no measures of “bad” at this threshold." in page.text


HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "</pre></li></ol></section></main><style>*{display:none}</style><!--",
    "lone \ud800 surrogate, \x00 null, \x1b[31m escape, \x85 next line, \ufffe no character",
    "\u202e turned around, مرحبا بالعالم",
    "{{ config.model_path }} {% raw %} &amp; &lt;",
    "w" * 100_000,
    "Z" + "\u0300" * 5_000,
    "\n" * 5_000 + "late" + "\n" * 5_000,
]


def test_hostile_text_stays_text(small) -> None:
    names = [f"{text[:150]}#{index}" for index, text in enumerate(HOSTILE)]
    corpus = [
        ({"id": name, "text": text, "source": text, "label": text}, 0.9)
        for name, text in zip(names, HOSTILE, strict=True)
    ]
    path = write_page(small(corpus, title=f"Title {HOSTILE[0]} {HOSTILE[2]}", examples=20))
    assert Path(path).stat().st_size < 200_000
    page = read_page(path)
    assert not {"script", "img"} & set(page.tags)
    assert page.tags.count("style") == 1
    best = set(page.examples[: len(HOSTILE)])
    assert {HOSTILE[0], HOSTILE[1], HOSTILE[3], HOSTILE[4], "w" * 300 + " …", "late"} <= best
    assert "lone \ufffd surrogate, \ufffd null, \ufffd[31m escape, \ufffd next line, \ufffd no character" in {
        text.replace("\n", "\ufffd") for text in best
    }
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", Path(path).read_text("utf-8"))


def test_the_page_needs_no_other_file_and_no_network(small) -> None:
    html = Path(write_page(small(rows(0.9, 0.1)))).read_text("utf-8")
    assert not re.search(r"https?:|//|@import|@font-face|<script|<iframe|<object", html.replace("default-src", ""))
    assert set(re.findall(r'(?:src|href)="([^"#][^"]*)"', html)) == {"data:,"}
    assert "default-src 'none'" in html


def test_every_chart_says_in_words_what_it_shows(small) -> None:
    html = Path(write_page(small(rows(0.9, 0.1)))).read_text("utf-8")
    spoken = re.findall(r'<div class="chart" role="img" aria-label="([^"]{40,})">', html)
    assert len(spoken) == html.count('class="chart"') == html.count("<figcaption>") == 3


def test_two_runs_write_the_same_bytes(small, tmp_path: Path) -> None:
    config = small(rows(*(index / 50 for index in range(50))))
    first = Path(write_page(config)).read_bytes()
    again = Path(write_page(replace(config, output_path=str(tmp_path / "again")))).read_bytes()
    assert first == again


def test_faults_name_the_file_and_the_row_and_write_nothing(small, write_rows, tmp_path: Path) -> None:
    config = small(rows(0.9, 0.1))
    write_rows("scores/0.jsonl", [{"id": "d1", "attributes": {"q": None}}])
    with pytest.raises(InputError, match=r"scores/0\.jsonl:1 has the id 'd1', but .*documents/0\.jsonl:1 has 'd0'"):
        write_page(config)
    (tmp_path / "scores/0.jsonl").unlink()
    with pytest.raises(InputError, match=r"documents/0\.jsonl has no attribute file .*scores/0\.jsonl"):
        write_page(config)
    (tmp_path / "documents/0.jsonl").unlink()
    with pytest.raises(InputError, match=r"no documents at .*documents"):
        write_page(config)
    (tmp_path / "model/classifier.json").unlink()
    with pytest.raises(ModelError, match=r"no model at .*model"):
        write_page(config)
    assert not (tmp_path / "page").exists()


def test_a_folder_that_cannot_be_written(small, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot write .*file/page/index\.html"):
        write_page(small(rows(0.9), output_path=str(tmp_path / "file" / "page")))


@pytest.mark.parametrize("library", ["jinja2", "matplotlib"])
def test_a_missing_library_is_named_with_its_install_command(small, monkeypatch, library: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    message = rf"the page needs {library}; install it with: uv pip install 'marin-classifiers\[report\]'"
    with pytest.raises(MissingRequirementError, match=message):
        write_page(small(rows(0.9)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"title": ""}, "title must be given, got ''"),
        ({"threshold": 1.5}, r"threshold must be in \[0, 1\] or None, got 1\.5"),
        ({"examples": -1}, "examples must be from 0 to 1000, got -1"),
        ({"kept_path": ""}, "kept_path must be a folder or None, got ''"),
        ({"output_path": ""}, "output_path must be a folder, got ''"),
    ],
)
def test_the_config_is_checked(small, values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        small(rows(0.9), **values)


def test_importing_the_page_imports_no_drawing_library() -> None:
    code = "import sys, json, marin.processing.classification.page as _; print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert not {"jinja2", "matplotlib", "numpy"} & set(modules)
