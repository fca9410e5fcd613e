import random
from typing import Any

import pytest

from marin.classifiers.cards import ModelCard
from marin.classifiers.documents import Document
from marin.classifiers.errors import ModelError
from marin.classifiers.metrics import CurvePoint, counts_at, evaluate
from marin.errors import UsageError
from marin.processing.classification.page_corpus import Corpus
from marin.processing.classification.page_validation import choose_threshold, read_validation, shortfall


def examples(size: int) -> tuple[list[float], list[str]]:
    draw = random.Random(5)
    scores = [draw.random() for _ in range(size)]
    return scores, ["good" if draw.random() < score else "bad" for score in scores]


def card_of(scores: list[float], labels: list[str], positive_label: str | None = "good") -> ModelCard:
    predictions = [{"bad": 1 - score, "good": score} for score in scores]
    metrics = evaluate(predictions, labels, positive_label)
    return ModelCard(backend="length", labels=("bad", "good"), positive_label=positive_label, files={}, metrics=metrics)


def corpus_of(*rows: tuple[str | None, float, str | None]) -> Corpus:
    """Documents as (source, score, label)."""
    made = Corpus(label="good", threshold=0.5, examples=0)
    for index, (source, score, label) in enumerate(rows):
        made.add(Document("docs.jsonl", 1, str(index), "text", source, label, b""), score, None, "docs.jsonl:1")
    return made


@pytest.mark.parametrize("size", [120, 2_000])  # the curve of so many examples is stored whole, and thinned
def test_the_counts_at_the_best_threshold_are_those_of_the_examples(size: int) -> None:
    scores, labels = examples(size)
    card = card_of(scores, labels)
    threshold = choose_threshold(card, "good", None)
    validation = read_validation(card, "good", threshold)
    expected = counts_at(scores, [label == "good" for label in labels], threshold)
    assert validation is not None
    assert validation.counts == expected
    assert validation.chosen == CurvePoint(threshold, expected.precision, expected.recall, expected.f1)


def test_the_counts_at_a_given_threshold_are_those_of_the_examples() -> None:
    scores, labels = examples(120)
    for threshold in (0.0, 0.3, 0.7, max(scores)):
        validation = read_validation(card_of(scores, labels), "good", threshold)
        assert validation is not None
        assert validation.counts == counts_at(scores, [label == "good" for label in labels], threshold)


def test_of_a_thinned_curve_one_half_is_known_exactly_and_others_nearly() -> None:
    scores, labels = examples(2_000)
    positives = [label == "good" for label in labels]
    validation = read_validation(card_of(scores, labels), "good", 0.5)
    assert validation is not None
    assert validation.counts == counts_at(scores, positives, 0.5)
    nearly = read_validation(card_of(scores, labels), "good", 0.6)
    assert nearly is not None
    assert nearly.chosen is not None
    assert nearly.chosen.precision == pytest.approx(counts_at(scores, positives, 0.6).precision, abs=0.02)
    assert 0.6 < nearly.chosen.threshold < 0.62


def test_a_threshold_that_no_example_reaches() -> None:
    validation = read_validation(card_of([0.1, 0.6, 0.2], ["bad", "good", "bad"]), "good", 0.9)
    assert validation is not None
    assert validation.chosen == CurvePoint(0.9, 0.0, 0.0, 0.0)
    assert validation.counts is None


def test_another_label_than_the_trained_one_has_no_curve() -> None:
    card = card_of(*examples(120))
    validation = read_validation(card, "bad", 0.5)
    assert validation is not None
    assert (validation.chosen, validation.curve) == (None, ())
    with pytest.raises(UsageError, match=r"no best threshold for 'bad': give threshold, or train with positive_label"):
        choose_threshold(card, "bad", None)
    assert choose_threshold(card, "bad", 0.25) == 0.25


def test_a_label_that_the_model_does_not_know() -> None:
    with pytest.raises(UsageError, match=r"one that the model predicts \(bad, good\), got 'prose'"):
        choose_threshold(card_of(*examples(120)), "prose", 0.5)


def test_a_card_without_measures_and_one_with_others() -> None:
    plain = ModelCard(backend="length", labels=("bad", "good"), files={})
    assert read_validation(plain, "good", 0.5) is None
    other = ModelCard(backend="length", labels=("bad", "good"), files={}, metrics={"loss": 0.1})
    with pytest.raises(ModelError, match=r"measures in the model's card cannot be read: KeyError\('labels'\)"):
        read_validation(other, "good", 0.5)


def test_a_good_classifier_needs_no_reasons() -> None:
    validation = read_validation(card_of([0.1, 0.9] * 100, ["bad", "good"] * 100), "good", 0.5)
    assert validation is not None
    assert shortfall(validation, corpus_of()) == []


def test_the_reasons_say_what_is_confused_and_in_which_sources() -> None:
    scores, labels = [0.9, 0.2, 0.8, 0.1, 0.9], ["good", "good", "bad", "bad", "good"]
    validation = read_validation(card_of(scores, labels), "good", 0.8)
    assert validation is not None
    rows: list[Any] = [("wiki", 0.9, "good"), ("mail", 0.9, "bad"), ("mail", 0.1, "good"), (None, 0.9, "bad")]
    reasons = shortfall(validation, corpus_of(*rows))
    assert reasons[0].text == (
        "Of 3 validation documents that have the label, 1 score below the threshold; of 2 others, 1 reach it."
    )
    assert reasons[1].names == (("mail", "2 of 2"), (None, "1 of 1"))
    assert reasons[2].text == "Only 3 validation documents have the label: each of them is 33.3% of recall."
    unlabelled = shortfall(validation, corpus_of(("wiki", 0.9, None)))
    assert "carry no labels" in unlabelled[1].text


def test_of_several_labels_the_most_confused_are_named() -> None:
    predictions = [{"a": 0.6, "b": 0.3, "c": 0.1}] * 3 + [{"a": 0.1, "b": 0.1, "c": 0.8}]
    card = ModelCard(
        backend="length", labels=("a", "b", "c"), files={}, metrics=evaluate(predictions, ["a", "b", "b", "c"], "a")
    )
    validation = read_validation(card, "a", choose_threshold(card, "a", None))
    assert validation is not None
    assert shortfall(validation, corpus_of())[1].names == (("b", "F1 0.0000"), ("a", "F1 0.5000"))
