import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from marin.classifiers.cards import CARD_NAME, read_card
from marin.classifiers.datasets import DatasetConfig
from marin.classifiers.errors import DatasetError, ModelError
from marin.classifiers.protocol import TrainingConfig
from marin.classifiers.testing import toy_config
from marin.classifiers.training import load_classifier, train_classifier
from marin.errors import UsageError
from marin.plugins.errors import UnknownPluginError
from marin.storage import StorageError


def test_the_card_says_what_the_model_is(tmp_path: Path) -> None:
    config = toy_config("length", str(tmp_path), {"variance_floor": 0.02})
    card = train_classifier(config)
    assert card == read_card(config.output_path)
    assert (card.backend, card.labels, card.positive_label) == ("length", ("long", "short"), "long")
    assert sum(card.data["train"].values()) + sum(card.data["validation"].values()) == card.data["documents"] == 400
    assert (card.data["seed"], card.data["validation_fraction"]) == (0, 0.2)
    assert card.options == {"variance_floor": 0.02}
    assert card.versions["marin-classifiers"]
    assert card.metrics["examples"] == sum(card.data["validation"].values())
    assert card.metrics["positive"]["f1"] == 1
    assert sorted(os.listdir(config.output_path)) == [CARD_NAME, "length.json"]


def test_a_loaded_model_separates_the_classes(length_model: str) -> None:
    classifier = load_classifier(length_model)
    long, short = classifier.predict(["x" * 1500, "x" * 9])
    assert long["long"] > 0.99
    assert short["short"] > 0.99
    assert sum(long.values()) == pytest.approx(1)


def test_training_again_replaces_the_model(tmp_path: Path) -> None:
    config = toy_config("length", str(tmp_path), {})
    first = train_classifier(config)
    second = train_classifier(replace(config, options={"variance_floor": 1.0}))
    assert first.fingerprint != second.fingerprint
    load_classifier(config.output_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"floor": 1}, "the back end length has no option 'floor'; its options are variance_floor"),
        ({"variance_floor": "much"}, "option variance_floor of length must be like 0.01, got 'much'"),
        ({"variance_floor": True}, "option variance_floor of length must be like 0.01, got True"),
        ({"variance_floor": 0}, "variance_floor must be above 0, got 0"),
    ],
)
def test_wrong_options_leave_no_model(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    config = toy_config("length", str(tmp_path), options)
    with pytest.raises(UsageError, match=message):
        train_classifier(config)
    with pytest.raises(ModelError, match="no model at"):
        load_classifier(config.output_path)


def test_an_unknown_back_end_and_an_unknown_label(tmp_path: Path) -> None:
    config = toy_config("length", str(tmp_path), {})
    with pytest.raises(UnknownPluginError, match="'lenght'; did you mean 'length'"):
        train_classifier(replace(config, backend="lenght"))
    with pytest.raises(DatasetError, match="positive_label 'good' is not among the labels long, short"):
        train_classifier(replace(config, positive_label="good"))


def test_an_output_that_cannot_be_written_is_noticed_before_the_work(tmp_path: Path) -> None:
    config = toy_config("length", str(tmp_path), {})
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"cannot create the folder .*file/model"):
        train_classifier(replace(config, output_path=str(tmp_path / "file" / "model")))


@pytest.mark.parametrize(("field", "value"), [("threads", 0), ("output_path", "")])
def test_the_config_is_checked(field: str, value: Any) -> None:
    arguments: dict[str, Any] = {"backend": "length", "dataset": DatasetConfig(input_path="x"), "output_path": "y"}
    with pytest.raises(UsageError, match=f"{field} must be"):
        TrainingConfig(**{**arguments, field: value})
