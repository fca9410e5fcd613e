"""Measures of a classifier on labelled examples, exact and without dependencies."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

CURVE_POINTS = 200
"""Most points of a curve that an evaluation stores."""
HISTOGRAM_BINS = 20
"""Bins of the stored score histograms."""


@dataclass(frozen=True, slots=True)
class BinaryCounts:
    """The confusion matrix of one class against the rest.

    Precision, recall and F1 are as in C. J. van Rijsbergen, Information Retrieval, 2nd ed. (1979), chapter 7;
    where a denominator is 0 the measure is 0.
    """

    true_positives: int
    """Of the class, and predicted so."""
    false_positives: int
    """Of the rest, and predicted as the class."""
    false_negatives: int
    """Of the class, and predicted as the rest."""
    true_negatives: int
    """Of the rest, and predicted so."""

    @property
    def precision(self) -> float:
        """TP / (TP + FP)."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """TP / (TP + FN)."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN), the harmonic mean of precision and recall."""
        return _ratio(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Precision and recall where everything scored at least `threshold` is predicted positive."""

    threshold: float
    """The smallest score that is predicted positive."""
    precision: float
    """TP / (TP + FP)."""
    recall: float
    """TP / (TP + FN)."""
    f1: float
    """Harmonic mean of the two."""


def counts_at(scores: Sequence[float], positives: Sequence[bool], threshold: float) -> BinaryCounts:
    """The confusion matrix where a score of at least `threshold` predicts positive.

    Args:
        scores: One score an example.
        positives: Whether each example is of the class; as long as `scores`.
        threshold: The smallest score that predicts positive.
    """
    cells = {(predicted, actual): 0 for predicted in (True, False) for actual in (True, False)}
    for score, actual in zip(scores, positives, strict=True):
        cells[score >= threshold, actual] += 1
    return BinaryCounts(cells[True, True], cells[True, False], cells[False, True], cells[False, False])


def precision_recall_curve(scores: Sequence[float], positives: Sequence[bool]) -> list[CurvePoint]:
    """One point for each distinct score, from the highest threshold to the lowest; recall never falls on the way."""
    total = sum(positives)
    ranked = sorted(zip(scores, positives, strict=True), key=lambda pair: -pair[0])
    points: list[CurvePoint] = []
    hits = 0
    for rank, (score, positive) in enumerate(ranked, start=1):
        hits += positive
        if rank == len(ranked) or ranked[rank][0] != score:
            counts = BinaryCounts(hits, rank - hits, total - hits, len(ranked) - total - (rank - hits))
            points.append(CurvePoint(score, counts.precision, counts.recall, counts.f1))
    return points


def best_threshold(curve: Sequence[CurvePoint]) -> CurvePoint:
    """The point of the highest F1; of several, the one of the highest threshold.

    Raises:
        ValueError: the curve has no point.
    """
    return max(curve, key=lambda point: (point.f1, point.threshold))


def thin(curve: Sequence[CurvePoint], points: int = CURVE_POINTS) -> list[CurvePoint]:
    """At most `points` (2 or more) of the curve, evenly spread over it, with both ends."""
    if len(curve) <= points:
        return list(curve)
    last = len(curve) - 1
    return [curve[round(index * last / (points - 1))] for index in range(points)]


def histogram(values: Sequence[float], bins: int = HISTOGRAM_BINS) -> list[int]:
    """How many of `values`, each in [0, 1], fall into each of `bins` equal bins; 1 belongs to the last.

    Raises:
        ValueError: a value is outside of [0, 1] or not a number.
    """
    counts = [0] * bins
    for value in values:
        if not 0 <= value <= 1:
            raise ValueError(f"a histogram holds values in [0, 1], got {value}")
        counts[min(int(value * bins), bins - 1)] += 1
    return counts


def evaluate(
    predictions: Sequence[Mapping[str, float]], labels: Sequence[str], positive_label: str | None = None
) -> dict[str, Any]:
    """What a model card says about a classifier on labelled examples; a JSON object.

    Args:
        predictions: label → probability of each example.
        labels: The label that each example has; as long as `predictions`.
        positive_label: Class whose threshold, curve and score histograms are wanted as well.

    Returns:
        `examples`, `accuracy` (of the most probable label), `labels` (label → precision, recall, f1, support) and,
        with a positive label, `positive` (label, threshold of the best F1, precision, recall, f1), `curve` (points)
        and `histogram` (`positive` and `rest`: counts of scores in equal bins of [0, 1]).
    """
    predicted = [max(prediction, key=prediction.__getitem__) for prediction in predictions]
    correct = sum(guess == label for guess, label in zip(predicted, labels, strict=True))
    report: dict[str, Any] = {
        "examples": len(labels),
        "accuracy": _ratio(correct, len(labels)),
        "labels": {label: _label_measures(predicted, labels, label) for label in sorted(set(labels))},
    }
    if positive_label is not None:
        report.update(_positive_measures(predictions, labels, positive_label))
    return report


def _label_measures(predicted: Sequence[str], labels: Sequence[str], label: str) -> dict[str, Any]:
    actual = [given == label for given in labels]
    counts = counts_at([float(guess == label) for guess in predicted], actual, 1.0)
    return {"precision": counts.precision, "recall": counts.recall, "f1": counts.f1, "support": sum(actual)}


def _positive_measures(
    predictions: Sequence[Mapping[str, float]], labels: Sequence[str], positive_label: str
) -> dict[str, Any]:
    scores = [prediction[positive_label] for prediction in predictions]
    actual = [label == positive_label for label in labels]
    curve = precision_recall_curve(scores, actual)
    return {
        "positive": {"label": positive_label, **asdict(best_threshold(curve))},
        "curve": [asdict(point) for point in thin(curve)],
        "histogram": {
            "positive": histogram([score for score, positive in zip(scores, actual, strict=True) if positive]),
            "rest": histogram([score for score, positive in zip(scores, actual, strict=True) if not positive]),
        },
    }


def probability(value: float) -> float:
    """`value` as a probability: clipped to [0, 1], since libraries return 1.00001.

    Raises:
        ValueError: the value is not a number.
    """
    if math.isnan(value):
        raise ValueError("a classifier returned a probability that is not a number")
    return min(max(float(value), 0.0), 1.0)


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else 0.0
