"""What a model card says about its model at one threshold, and why that is not better."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from marin.classifiers.cards import ModelCard
from marin.classifiers.errors import ModelError
from marin.classifiers.metrics import CURVE_POINTS, BinaryCounts, CurvePoint
from marin.errors import UsageError
from marin.processing.classification.page_corpus import Corpus

WANTED_F1 = 0.95
"""A page says so where the validation F1 is below this."""
FEW_POSITIVES = 100
"""Fewer positive validation documents than this make the measures uncertain."""
NAMED_CAUSES = 5
"""Most labels, and most sources, that the explanation names."""


@dataclass(frozen=True, slots=True)
class LabelMeasures:
    """How one label fares where the most probable label is predicted."""

    label: str
    """The label."""
    precision: float
    """TP / (TP + FP)."""
    recall: float
    """TP / (TP + FN)."""
    f1: float
    """Harmonic mean of the two."""
    support: int
    """Validation documents that have it."""
    trained: int | None
    """Training documents that have it; None where the card does not say."""


@dataclass(frozen=True, slots=True)
class Validation:
    """The measures of a model on its validation documents."""

    label: str
    """The positive label."""
    examples: int
    """Validation documents."""
    accuracy: float
    """Of the most probable label."""
    chosen: CurvePoint | None
    """The measures at the threshold; None where the card has no curve for the label."""
    counts: BinaryCounts | None
    """The confusion matrix at `chosen`; None where it cannot be known."""
    curve: tuple[CurvePoint, ...]
    """Points from the highest threshold to the lowest; empty where the card has no curve for the label."""
    positive_histogram: tuple[int, ...]
    """Scores of the documents of the label, in equal bins of [0, 1]."""
    rest_histogram: tuple[int, ...]
    """Scores of all others, in the same bins."""
    labels: tuple[LabelMeasures, ...]
    """One for each label."""


def choose_threshold(card: ModelCard, label: str, threshold: float | None) -> float:
    """`threshold` if it is given, else the one of the card's best F1.

    Raises:
        UsageError: the model does not know the label, or its card has no threshold for it.
    """
    if label not in card.labels:
        raise UsageError(f"label must be one that the model predicts ({', '.join(card.labels)}), got {label!r}")
    if threshold is not None:
        return threshold
    best: Mapping[str, Any] = card.metrics.get("positive", {})
    if best.get("label") != label:
        raise UsageError(
            f"the model's card has no best threshold for {label!r}: "
            f"give threshold, or train with positive_label={label!r}"
        )
    return float(best["threshold"])


def read_validation(card: ModelCard, label: str, threshold: float) -> Validation | None:
    """The measures in `card` for `label` at `threshold`; None where it has none.

    Raises:
        ModelError: the card's measures are not those of `marin.classifiers.metrics.evaluate`.
    """
    if not card.metrics:
        return None
    try:
        return _validation(card.metrics, card.data, label, threshold)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the measures in the model's card cannot be read: {error!r}") from error


def _validation(metrics: Mapping[str, Any], data: Mapping[str, Any], label: str, threshold: float) -> Validation:
    trained: Mapping[str, int] = data.get("train", {})
    labels = tuple(
        LabelMeasures(name, entry["precision"], entry["recall"], entry["f1"], entry["support"], trained.get(name))
        for name, entry in metrics["labels"].items()
    )
    examples = int(metrics["examples"])
    support = next((entry.support for entry in labels if entry.label == label), 0)
    chosen, curve, histograms = None, (), {"positive": (), "rest": ()}
    if metrics.get("positive", {}).get("label") == label:
        curve = tuple(CurvePoint(**point) for point in metrics["curve"])
        chosen = _measures_at(metrics["positive"], curve, labels, threshold)
        histograms = metrics["histogram"]
    return Validation(
        label=label,
        examples=examples,
        accuracy=metrics["accuracy"],
        chosen=chosen,
        counts=None if chosen is None else _counts(chosen, support, examples),
        curve=curve,
        positive_histogram=tuple(histograms["positive"]),
        rest_histogram=tuple(histograms["rest"]),
        labels=labels,
    )


def _measures_at(
    best: Mapping[str, Any], curve: Sequence[CurvePoint], labels: Sequence[LabelMeasures], threshold: float
) -> CurvePoint | None:
    """The measures where all that reaches `threshold` is positive: those of the lowest score that does.

    A long curve is stored thinned; of such a curve it is the nearest stored point above.
    """
    if threshold == best["threshold"]:
        return CurvePoint(threshold, best["precision"], best["recall"], best["f1"])
    thinned = len(curve) >= CURVE_POINTS
    if thinned and threshold == 0.5 and len(labels) == 2:  # then it decides which label is the most probable one
        entry = next(entry for entry in labels if entry.label == best["label"])
        return CurvePoint(threshold, entry.precision, entry.recall, entry.f1)
    reaching = [point for point in curve if point.threshold >= threshold]
    if reaching:
        return reaching[-1]
    return None if thinned else CurvePoint(threshold, 0.0, 0.0, 0.0)


def _counts(point: CurvePoint, positives: int, examples: int) -> BinaryCounts | None:
    """The confusion matrix that gives the precision and the recall of `point`."""
    hits = round(point.recall * positives)
    if not hits:
        return None
    false_positives = round(hits / point.precision) - hits
    return BinaryCounts(hits, false_positives, positives - hits, examples - positives - false_positives)


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason why a classifier is not better."""

    text: str
    """A sentence, or one that ends in a colon where names follow."""
    names: tuple[tuple[str | None, str], ...] = ()
    """Names of classes or sources, None for no source, each with its numbers."""


def shortfall(validation: Validation, corpus: Corpus) -> list[Reason]:
    """Why the validation F1 is below `WANTED_F1`, as far as the numbers tell; empty where it is not."""
    if validation.chosen is None or validation.chosen.f1 >= WANTED_F1:
        return []
    return [*_confused_classes(validation), _confused_sources(corpus), *_small_sample(validation)]


def _confused_classes(validation: Validation) -> list[Reason]:
    reasons: list[Reason] = []
    counts = validation.counts
    if counts is not None:
        positives = counts.true_positives + counts.false_negatives
        reasons.append(
            Reason(
                f"Of {positives:,} validation documents that have the label, {counts.false_negatives:,} score below "
                f"the threshold; of {validation.examples - positives:,} others, {counts.false_positives:,} reach it."
            )
        )
    weak = sorted((entry for entry in validation.labels if entry.f1 < WANTED_F1), key=lambda entry: entry.f1)
    if len(validation.labels) > 2 and weak:
        names = tuple((entry.label, f"F1 {entry.f1:.4f}") for entry in weak[:NAMED_CAUSES])
        reasons.append(Reason("The labels that are confused most:", names))
    return reasons


def _confused_sources(corpus: Corpus) -> Reason:
    if not corpus.labelled:
        return Reason("The documents of this corpus carry no labels, so the errors cannot be traced to sources.")
    worst = corpus.most_misplaced(NAMED_CAUSES)
    if not worst:
        return Reason("Going by the labels in this corpus, the threshold puts every document on the right side.")
    names = tuple((source.name, f"{source.misplaced:,} of {source.labelled:,}") for source in worst)
    return Reason("Going by the labels in this corpus, most errors are in the sources:", names)


def _small_sample(validation: Validation) -> list[Reason]:
    positives = next((entry.support for entry in validation.labels if entry.label == validation.label), 0)
    if not 0 < positives < FEW_POSITIVES:
        return []
    return [
        Reason(
            f"Only {positives:,} validation documents have the label: each of them is {1 / positives:.1%} of recall."
        )
    ]
