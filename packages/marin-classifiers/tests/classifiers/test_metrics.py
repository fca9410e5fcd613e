import math
import random

import pytest

from marin.classifiers.metrics import (
    BinaryCounts,
    best_threshold,
    counts_at,
    evaluate,
    histogram,
    precision_recall_curve,
    probability,
    thin,
)

SCORES = [0.9, 0.8, 0.8, 0.4, 0.3, 0.1]
POSITIVES = [True, True, False, True, False, False]


def test_counts_and_measures_at_a_threshold() -> None:
    counts = counts_at(SCORES, POSITIVES, 0.8)
    assert counts == BinaryCounts(true_positives=2, false_positives=1, false_negatives=1, true_negatives=2)
    assert counts.precision == pytest.approx(2 / 3)
    assert counts.recall == pytest.approx(2 / 3)
    assert counts.f1 == pytest.approx(2 / 3)


def test_measures_without_a_denominator_are_zero() -> None:
    nothing = BinaryCounts(0, 0, 0, 5)
    assert (nothing.precision, nothing.recall, nothing.f1) == (0, 0, 0)


def test_the_curve_has_a_point_for_each_distinct_score() -> None:
    curve = precision_recall_curve(SCORES, POSITIVES)
    assert [(point.threshold, point.precision, point.recall) for point in curve] == [
        (0.9, 1, pytest.approx(1 / 3)),
        (0.8, pytest.approx(2 / 3), pytest.approx(2 / 3)),
        (0.4, 0.75, 1),
        (0.3, 0.6, 1),
        (0.1, 0.5, 1),
    ]
    assert best_threshold(curve).threshold == 0.4


def test_the_best_threshold_is_the_best_of_all() -> None:
    source = random.Random(7)
    for _ in range(20):
        scores = [round(source.random(), 1) for _ in range(40)]
        positives = [source.random() < 0.4 for _ in scores]
        best = best_threshold(precision_recall_curve(scores, positives))
        f1 = {threshold: counts_at(scores, positives, threshold).f1 for threshold in scores}
        assert best.f1 == pytest.approx(max(f1.values()))
        assert best.threshold == max(threshold for threshold in f1 if math.isclose(f1[threshold], best.f1))


def test_a_thin_curve_keeps_both_ends() -> None:
    curve = precision_recall_curve([index / 1000 for index in range(1000)], [index % 3 == 0 for index in range(1000)])
    few = thin(curve, 10)
    assert (len(few), few[0], few[-1]) == (10, curve[0], curve[-1])
    assert thin(few, 10) == few


def test_histogram_bins() -> None:
    assert histogram([0, 0.05, 0.1, 0.999, 1], bins=10) == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    for value in (1.01, -0.1, math.nan):
        with pytest.raises(ValueError, match="values in"):
            histogram([value])


def test_probability_clips_and_refuses_no_number() -> None:
    assert [probability(value) for value in (-0.1, 0.5, 1.00001)] == [0, 0.5, 1]
    with pytest.raises(ValueError, match="not a number"):
        probability(math.nan)


def test_evaluate() -> None:
    predictions = [{"a": score, "b": 1 - score} for score in SCORES]
    labels = ["a" if positive else "b" for positive in POSITIVES]
    report = evaluate(predictions, labels, "a")
    assert report["examples"] == 6
    assert report["accuracy"] == pytest.approx(4 / 6)
    assert report["labels"]["a"] == {
        "precision": pytest.approx(2 / 3),
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(2 / 3),
        "support": 3,
    }
    assert report["positive"]["threshold"] == 0.4
    assert len(report["curve"]) == 5
    assert sum(report["histogram"]["positive"]) == sum(report["histogram"]["rest"]) == 3
    assert set(evaluate(predictions, labels)) == {"examples", "accuracy", "labels"}
