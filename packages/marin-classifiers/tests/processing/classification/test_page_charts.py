import re
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import matplotlib
import pytest

from marin.classifiers.metrics import CurvePoint
from marin.processing.classification.page_charts import calibration_chart, curve_chart, score_chart

CURVE = [CurvePoint(0.9, 1.0, 0.2, 0.33), CurvePoint(0.5, 0.8, 0.9, 0.85), CurvePoint(0.1, 0.5, 1.0, 0.67)]
DRAWINGS = {
    "scores": lambda: score_chart([0, 1, 5, 9], [7, 2, 0, 0], 0.3),
    "scores-log": lambda: score_chart([0, 1, 5, 9000], [7, 2, 0, 0], 0.3),
    "scores-one": lambda: score_chart([0, 0, 0, 1], [0, 0, 0, 0], 1.0),
    "curve": lambda: curve_chart(CURVE, CURVE[1]),
    "curve-unmarked": lambda: curve_chart(CURVE[:1], None),
    "calibration": lambda: calibration_chart([(0.1, 0.0, 3), (0.9, 1.0, 40)]),
    "calibration-empty": lambda: calibration_chart([]),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_chart_is_svg_with_text_and_colours_of_its_page_and_nothing_from_elsewhere(name: str) -> None:
    svg = DRAWINGS[name]()
    root = ElementTree.fromstring(svg)
    assert root.tag == "svg"
    assert root.get("viewBox")
    assert "0.0" in {element.text for element in root.iter("text")}
    assert "var(--" in svg
    assert not re.search(r"#[0-9a-f]{6}\b|http|<style|<metadata|font-family|DejaVu", svg)


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_reference_in_a_chart_has_its_target(name: str) -> None:
    svg = DRAWINGS[name]()
    ids = re.findall(r'\bid="([^"]+)"', svg)
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', svg)) == set(ids)
    assert len(ids) == len(set(ids))


def test_ids_of_two_charts_differ() -> None:
    ids = [re.findall(r'\bid="([^"]+)"', DRAWINGS[name]()) for name in ("scores", "curve", "calibration")]
    assert len(set().union(*ids)) == sum(map(len, ids))


def test_counts_that_differ_much_are_drawn_on_a_logarithmic_scale() -> None:
    assert "documents (logarithmic)" in DRAWINGS["scores-log"]()
    assert "logarithmic" not in DRAWINGS["scores"]()


def test_threads_draw_the_same_bytes_and_leave_the_settings_alone() -> None:
    before = matplotlib.rcParams.copy()
    with ThreadPoolExecutor(max_workers=3) as pool:
        drawn = list(pool.map(lambda name: DRAWINGS[name](), ["scores", "curve", "calibration"] * 3))
    assert drawn[:3] == drawn[3:6] == drawn[6:]
    assert matplotlib.rcParams.copy() == before


def test_settings_of_the_user_change_nothing() -> None:
    expected = DRAWINGS["curve"]()
    with matplotlib.rc_context({"font.size": 30, "axes.grid": True, "lines.linewidth": 9, "svg.fonttype": "path"}):
        assert DRAWINGS["curve"]() == expected
