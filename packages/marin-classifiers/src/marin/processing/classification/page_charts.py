"""The charts of a page: inline SVG, the same bytes for the same numbers, in the colours of the page's theme."""

import io
import math
import re
import statistics
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

from marin.classifiers.metrics import CurvePoint

# Stand-ins that matplotlib draws with, and the CSS that replaces them: a chart follows the theme of its page.
INK, LINE, KEPT, DROPPED, ACCENT = (f"#0000{index:02x}" for index in range(1, 6))
_CSS = {
    INK: "var(--soft)",
    LINE: "var(--line)",
    KEPT: "var(--kept)",
    DROPPED: "var(--dropped)",
    ACCENT: "var(--accent)",
}
_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
_LOG_RATIO = 30
"""Where the highest bar is so many times the median one, the scale is logarithmic."""
_FIGURE_INCHES = (5.4, 3.5)
_STYLE = {
    "svg.fonttype": "none",  # text stays text: to read, to search, to scale
    "font.size": 11.0,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.pad": 7,
    "ytick.major.pad": 5,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}
# Matplotlib's settings are those of the process, and steps run in threads of one.
_settings = threading.Lock()


def score_chart(kept: Sequence[int], dropped: Sequence[int], threshold: float) -> str:
    """Histogram of the scores in equal bins of [0, 1], kept and dropped documents apart, as SVG.

    A bin that holds both is drawn as two bars of half its width.
    """
    width = 1 / len(kept)

    def draw(axes: Any) -> None:
        for counts, other, color, shift in ((dropped, kept, DROPPED, 0.0), (kept, dropped, KEPT, 0.5)):
            for index, count in enumerate(counts):
                both = other[index] > 0
                left = (index + (shift if both else 0.0)) * width
                axes.bar(left, count, width * (0.5 if both else 1.0) * 0.92, align="edge", color=color)
        axes.axvline(threshold, color=ACCENT, linewidth=1.6, linestyle=(0, (4, 2)))
        axes.set(xlim=(0, 1), xlabel="score", ylabel="documents")
        present = [count for count in (*kept, *dropped) if count]
        if max(present) / statistics.median(present) > _LOG_RATIO:
            axes.set_yscale("log")
            axes.set(ylim=(0.7, max(present) * 1.6), ylabel="documents (logarithmic)")
        axes.yaxis.set_major_formatter(_thousands)
        axes.grid(axis="y")

    return _render("scores", draw)


def _thousands(value: float, _position: int) -> str:
    return f"{value:,.0f}"


def curve_chart(curve: Sequence[CurvePoint], chosen: CurvePoint | None) -> str:
    """The precision-recall curve, with the chosen threshold marked, as SVG; its precision axis begins below it."""
    shown = [*curve, chosen] if chosen is not None else curve
    floor = min(math.floor(min(point.precision for point in shown) * 10) / 10, 0.9)

    def draw(axes: Any) -> None:
        axes.plot([point.recall for point in curve], [point.precision for point in curve], color=KEPT, linewidth=2.2)
        if chosen is not None:
            axes.plot([chosen.recall], [chosen.precision], "o", color=ACCENT, markersize=8)
            axes.vlines(chosen.recall, floor, chosen.precision, color=ACCENT, linewidth=1, linestyle=(0, (4, 2)))
            axes.hlines(chosen.precision, 0, chosen.recall, color=ACCENT, linewidth=1, linestyle=(0, (4, 2)))
        axes.locator_params(axis="y", nbins=6)
        axes.set(xlim=(0, 1.03), ylim=(floor, 1 + 0.04 * (1 - floor)), xlabel="recall", ylabel="precision")
        axes.grid()

    return _render("curve", draw)


def calibration_chart(points: Sequence[tuple[float, float, int]]) -> str:
    """Share of positive documents against score, one dot of an area by its documents each, as SVG.

    Args:
        points: Middle of a bin of scores, share of its documents that are positive, how many those are.
    """
    most = max((count for _, _, count in points), default=1)

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (4, 2)))
        areas = [24 + 260 * (count / most) ** 0.5 for _, _, count in points]
        axes.scatter([x for x, _, _ in points], [y for _, y, _ in points], s=areas, color=KEPT, linewidth=0, alpha=0.8)
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.05, 1.05), xlabel="score", ylabel="share of the label")
        axes.grid()

    return _render("calibration", draw)


def _render(name: str, draw: Callable[[Any], None]) -> str:
    with _matplotlib_settings(name):
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        figure = Figure(figsize=_FIGURE_INCHES, layout="constrained")
        canvas: Any = FigureCanvasSVG(figure)
        draw(figure.add_subplot())
        output = io.BytesIO()
        canvas.print_svg(output, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _inline(output.getvalue().decode(), name)


@contextmanager
def _matplotlib_settings(name: str) -> Generator[None]:
    """Ours alone, whatever the user's `matplotlibrc` says; put back afterwards."""
    import matplotlib.style

    with _settings, matplotlib.style.context(["default", {**_STYLE, "svg.hashsalt": name}]):
        yield


def _inline(svg: str, name: str) -> str:
    """`svg` as a part of an HTML page: scaled by CSS, in its fonts and colours, with no name or rule of its own."""
    root = ElementTree.fromstring(svg)
    for parent in root.iter():
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):  # a rule here would apply to the whole page
                parent.remove(child)
    used = set(re.findall(r"#([\w-]+)", " ".join(_references(root))))
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        _rewrite(element, used, name)
    box = root.get("viewBox", "")
    root.attrib.clear()
    root.attrib.update({"viewBox": box, "aria-hidden": "true", "focusable": "false"})
    text = ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)
    for stand_in, css in _CSS.items():
        text = text.replace(stand_in, css)
    return re.sub(r"\s*\n\s*", "\n", text).strip()


def _references(root: ElementTree.Element) -> Generator[str]:
    for element in root.iter():
        yield element.get(_LINK, "")
        yield from re.findall(r"url\((#[^)]+)\)", " ".join(element.attrib.values()))


def _rewrite(element: ElementTree.Element, used: set[str], name: str) -> None:
    """Keep only the ids that are referred to, made unique on the page, and let text have the page's font."""
    identifier = element.attrib.pop("id", None)
    if identifier in used:
        element.set("id", f"{name}-{identifier}")
    link = element.attrib.pop(_LINK, None)
    if link is not None:
        element.set("href", link.replace("#", f"#{name}-"))
    for attribute, value in element.attrib.items():
        element.set(attribute, value.replace("url(#", f"url(#{name}-"))
    style = element.get("style")
    if style is not None:
        style = re.sub(r"font: ([\d.]+px)[^;]*", r"font-size: \1", style)
        element.set("style", re.sub(r"font-family:[^;]*;?\s*", "", style))
