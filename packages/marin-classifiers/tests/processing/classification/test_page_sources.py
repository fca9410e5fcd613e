import random

import pytest

from marin.processing.classification.page_sources import Distribution, SourceNumbers, clip, source_name


def distribution(*scores: float) -> Distribution:
    made = Distribution()
    for score in scores:
        made.add(score)
    return made


@pytest.mark.parametrize("power", [0.1, 1, 8])
def test_quantiles_are_right_within_half_a_bin(power: float) -> None:
    draw = random.Random(7)
    scores = sorted(draw.random() ** power for _ in range(5_000))
    made = distribution(*scores)
    for fraction in (0.05, 0.5, 0.95):
        assert made.quantile(fraction) == pytest.approx(scores[int(fraction * 5_000) - 1], abs=1 / 8000)
    assert made.mean == pytest.approx(sum(scores) / 5_000)


def test_quantiles_stay_within_the_scores() -> None:
    assert distribution(1.0, 1.0).quantile(0.5) == 1.0
    assert distribution(0.0).quantile(0.95) == 0.0


def test_nothing_has_no_mean_and_no_quantile() -> None:
    assert (Distribution().mean, Distribution().quantile(0.5)) == (None, None)


def test_bars_count_every_score_once() -> None:
    assert distribution(0.0, 0.24, 0.25, 0.999, 1.0).bars(4) == [2, 1, 0, 2]


def test_merged_distributions_are_those_of_all_scores() -> None:
    merged, whole = distribution(0.1, 0.2), distribution(0.1, 0.2, 0.9)
    merged.merge(distribution(0.9))
    assert (merged.counts, merged.size, merged.mean) == (whole.counts, 3, whole.mean)
    assert merged.quantile(1.0) == whole.quantile(1.0) == pytest.approx(0.9, abs=1e-3)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.5] * 100, True),
        ([0.5] * 98 + [0.0, 1.0], True),
        ([0.5] * 10, False),  # too few to say
        ([0.4, 0.6] * 50, False),
        ([], False),
    ],
)
def test_near_constant_sources(scores: list[float], expected: bool) -> None:
    assert SourceNumbers("web", scores=distribution(*scores)).near_constant is expected


def test_names_of_sources() -> None:
    assert source_name(None) is None
    assert source_name("web") == "web"
    assert source_name({"b": [1], "a": "é"}) == '{"a": "é", "b": [1]}'
    assert len(source_name("x" * 10_000) or "") == 160


def test_clip_says_that_it_cut() -> None:
    assert (clip("abcd", 4), clip("abcde", 4)) == ("abcd", "abc…")
