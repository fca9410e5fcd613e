import json
import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest

from marin.classifiers.cards import CARD_NAME, read_card, write_card
from marin.classifiers.datasets import DatasetConfig
from marin.classifiers.errors import DatasetError, ModelError, TrainingError
from marin.classifiers.fasttext.backend import BACKEND
from marin.classifiers.protocol import TrainingConfig
from marin.classifiers.testing import toy_config
from marin.errors import UsageError

pytestmark = pytest.mark.model


def labelled(folder: Path, rows: list[tuple[str, str]], **values: Any) -> TrainingConfig:
    """A training on `rows` (text, label), each there eight times over."""
    path = folder / "labelled.jsonl"
    documents = [
        {"id": f"{index}-{copy}", "text": f"{text} {copy}", "label": label}
        for index, (text, label) in enumerate(rows)
        for copy in range(8)
    ]
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    dataset = DatasetConfig(input_path=str(path), validation_fraction=0.3)
    return TrainingConfig(backend="fasttext", dataset=dataset, output_path=str(folder / "model"), **values)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    config = toy_config("fasttext", str(tmp_path_factory.mktemp("fasttext")), {"dim": 8})
    BACKEND.train(config)
    return config.output_path


def test_one_thread_gives_the_same_bytes_every_time(tmp_path: Path) -> None:
    config = toy_config("fasttext", str(tmp_path), {"dim": 8, "word_ngrams": 2, "bucket": 1000})
    first = BACKEND.train(config)
    second = BACKEND.train(replace(config, output_path=str(tmp_path / "again")))
    assert first.files == second.files
    assert BACKEND.train(replace(config, seed=1)).files != first.files


def test_the_card_and_the_model_agree(model: str) -> None:
    card = read_card(model)
    assert (card.labels, card.threads, card.options["dim"]) == (("long", "short"), 1, 8)
    assert card.versions["fasttext-community"].startswith("0.11.")
    assert card.metrics["positive"]["f1"] == 1
    classifier = BACKEND.load(model)
    long, short = classifier.predict(["the quiet valley of the river", "def f1(): return 1"])
    assert long["long"] > 0.9
    assert short["short"] > 0.9


def test_commands_in_training_texts_are_only_words(tmp_path: Path) -> None:
    rows = [
        ("good words here __label__evil and __label__ more", "hq"),
        ("bad </s> __label__hq spam\nlinks\rhere", "lq"),
        ("null \0 and \ud800 surrogate of good words", "hq"),
        ("cheap spam links", "lq"),
    ]
    card = BACKEND.train(labelled(tmp_path, rows, positive_label="hq", options={"epoch": 50}))
    assert card.labels == ("hq", "lq")
    (spam,) = BACKEND.load(card_path(tmp_path)).predict(["good words </s> cheap spam spam spam links links links"])
    assert spam["lq"] > 0.5


def card_path(folder: Path) -> str:
    return str(folder / "model")


@pytest.mark.parametrize("label", ["two words", " spaced", "__label__hq", "line\nbreak"])
def test_labels_that_fasttext_cannot_hold_are_refused(tmp_path: Path, label: str) -> None:
    with pytest.raises(DatasetError, match="cannot be a fastText label"):
        BACKEND.train(labelled(tmp_path, [("some text", label), ("other text", "lq")]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 0}, "dim must be at least 1, got 0"),
        ({"lr": -1}, "lr must be above 0, got -1"),
        ({"minn": 4, "maxn": 2}, "minn and maxn must be 0 <= minn <= maxn"),
        ({"loss": "hs"}, "loss must be one of softmax, ova, got 'hs'"),
        ({"wordNgrams": 2}, "has no option 'wordNgrams'; its options are dim, epoch"),
        ({"epoch": 2.5}, "option epoch of fasttext must be like 5, got 2.5"),
    ],
)
def test_wrong_options(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        BACKEND.train(toy_config("fasttext", str(tmp_path), options))


def test_a_training_that_diverges_says_what_to_change(tmp_path: Path) -> None:
    config = toy_config("fasttext", str(tmp_path), {"lr": 1e30})
    with pytest.raises(TrainingError, match=r"fastText could not train: .*NaN.*; a lower lr \(it is 1e\+30\) may help"):
        BACKEND.train(config)
    with pytest.raises(ModelError, match="no model at"):
        BACKEND.load(config.output_path)


def test_independent_probabilities(tmp_path: Path) -> None:
    card = BACKEND.train(toy_config("fasttext", str(tmp_path), {"loss": "ova"}))
    (prediction,) = BACKEND.load(card_path(tmp_path)).predict(["the quiet valley"])
    assert tuple(prediction) == card.labels
    assert all(0 <= value <= 1 for value in prediction.values())


def test_a_text_without_a_known_word(tmp_path: Path) -> None:
    BACKEND.train(labelled(tmp_path, [("good words", "hq"), ("cheap spam", "lq")], options={"min_count": 6}))
    (prediction,) = BACKEND.load(card_path(tmp_path)).predict(["unheard of"])
    assert sum(prediction.values()) == pytest.approx(1, abs=1e-4)


def test_a_remote_model_is_copied_once(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    memory = fsspec.filesystem("memory")
    for name in ("model.bin", CARD_NAME):
        memory.pipe(f"/models/toy/{name}", (Path(model) / name).read_bytes())
    texts = ["the quiet valley of the river"]
    expected = BACKEND.load(model).predict(texts)
    assert BACKEND.load("memory://models/toy").predict(texts) == expected
    (copy,) = (tmp_path / "marin-models").iterdir()
    assert copy.name == read_card(model).files["model.bin"]
    written = copy.stat().st_mtime_ns
    BACKEND.load("memory://models/toy")
    assert copy.stat().st_mtime_ns == written


def test_other_models_are_refused(model: str, length_model: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is no fastText model: its card lists no model\.bin"):
        BACKEND.load(length_model)
    copy = shutil.copytree(model, tmp_path / "copy")
    write_card(str(copy), replace(read_card(model), labels=("x", "y")))
    with pytest.raises(ModelError, match=r"has the labels \['long', 'short'\], its card says \['x', 'y'\]"):
        BACKEND.load(str(copy))


def test_a_closed_classifier_says_so(model: str) -> None:
    classifier = BACKEND.load(model)
    classifier.close()
    with pytest.raises(ValueError, match="the classifier is closed"):
        classifier.predict(["x"])


def in_fresh_interpreter(code: str, *arguments: str) -> str:
    """What `code` prints in an interpreter of its own."""
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


LOAD = """
from marin.classifiers.fasttext.backend import BACKEND
from marin.errors import MarinError
try:
    BACKEND.load(sys.argv[1])
except MarinError as error:
    print(error.exit_code, error)
"""


def test_a_missing_library_is_named_with_its_install_command(model: str) -> None:
    block = "import sys\nsys.modules['fasttext'] = None\n"  # what the import system takes for "not installed"
    install = "uv pip install 'marin-classifiers[fasttext]'"
    printed = in_fresh_interpreter(block + LOAD, model)
    assert printed == f"3 the fasttext back end needs fasttext-community; install it with: {install}"


def test_a_second_owner_of_the_module_is_refused(model: str, tmp_path: Path) -> None:
    metadata = tmp_path / "fasttext_wheel-0.9.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: fasttext-wheel\nVersion: 0.9.2\n")
    (metadata / "top_level.txt").write_text("fasttext\n")
    added = f"import sys\nsys.path.append({str(tmp_path)!r})\n"
    printed = in_fresh_interpreter(added + LOAD, model)
    assert printed.startswith("3 fasttext-community and fasttext-wheel both install the module `fasttext`")
    assert "uv pip uninstall fasttext-wheel && uv pip install --reinstall fasttext-community" in printed


def test_a_library_that_scores_lists_wrongly_is_refused(model: str) -> None:
    # fasttext-wheel 0.9.2 on NumPy 2 repeats the first score in the list form.
    broken = """
        import sys
        from fasttext import FastText
        right = FastText._FastText.predict
        def wrong(self, text, k=1, threshold=0.0, on_unicode_error="strict"):
            labels, scores = right(self, text, k, threshold, on_unicode_error)
            return (labels, [[row[0]] * len(row) for row in scores]) if isinstance(text, list) else (labels, scores)
        FastText._FastText.predict = wrong
    """
    printed = in_fresh_interpreter(textwrap.dedent(broken) + LOAD, model)
    assert printed.startswith("3 the installed fastText (fasttext-community 0.11.")
    assert "cannot be trusted: predict() gives" in printed
