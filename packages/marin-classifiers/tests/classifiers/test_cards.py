import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from marin.classifiers.cards import CARD_NAME, ModelCard, read_card, verify_files, write_card
from marin.classifiers.errors import ModelError

CARD = ModelCard(
    backend="length",
    labels=("a", "b"),
    positive_label="a",
    files={"model.json": "0" * 64},
    data={"files": 1},
    options={"x": 0.5},
    versions={"marin-classifiers": "1.0.0"},
    metrics={"accuracy": 1.0},
)


def change(folder: Path, **values: Any) -> None:
    path = folder / CARD_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_card_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_card(str(tmp_path), CARD)
    assert read_card(str(tmp_path)) == CARD


def test_the_fingerprint_is_of_what_decides_predictions() -> None:
    fingerprint = CARD.fingerprint
    same = {"backend": "length", "labels": ("a", "b"), "files": CARD.files}
    assert ModelCard(**same).fingerprint == fingerprint
    for change_of in ({"backend": "other"}, {"labels": ("b", "a")}, {"files": {"model.json": "1" * 64}}):
        assert ModelCard(**{**same, **change_of}).fingerprint != fingerprint


def test_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model at .*absent: it has no classifier\.json"):
        read_card(str(tmp_path / "absent"))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"card_version": 1}', "\udfff"])
def test_an_unreadable_card(tmp_path: Path, content: str) -> None:
    (tmp_path / CARD_NAME).write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(ModelError, match=r"classifier\.json is no model card"):
        read_card(str(tmp_path))


def test_other_versions_are_refused(tmp_path: Path) -> None:
    write_card(str(tmp_path), CARD)
    change(tmp_path, normalizer_version=99)
    with pytest.raises(ModelError, match="version 99 of the text normaliser"):
        read_card(str(tmp_path))
    change(tmp_path, card_version=2)
    with pytest.raises(ModelError, match="has the format 2, this version reads format 1"):
        read_card(str(tmp_path))


def test_damaged_and_missing_files_are_named(length_model: str, tmp_path: Path) -> None:
    copy = shutil.copytree(length_model, tmp_path / "copy")
    card = read_card(str(copy))
    verify_files(str(copy), card)
    (copy / "length.json").write_bytes((copy / "length.json").read_bytes()[:-3])
    with pytest.raises(ModelError, match=r"length\.json is damaged: its SHA-256 is"):
        verify_files(str(copy), card)
    (copy / "length.json").unlink()
    with pytest.raises(ModelError, match=r"is incomplete: length\.json is missing"):
        verify_files(str(copy), card)
