"""The page of an experiment as one HTML file, which needs no other and no network."""

import base64
import functools
import hashlib
import html
from pathlib import Path
from string import Template

from marin.execution.page.data import PageData, dump_json

SCRIPTS = ("model", "layout", "graph", "table", "timeline", "panel", "live", "main")
"""The parts of the page's script, in the order in which they are put together."""
GRAPH_LIBRARY = "vendor/cytoscape.min.js"
"""Draws the graph; see the README beside it."""


def render_page(data: PageData) -> str:
    """The page that shows `data`, as HTML.

    Names, configs and errors of an experiment are data of the page and never markup. Beside that, the page's policy
    lets nothing but its own two scripts run, and has it fetch from its own server alone.
    """
    library, script = _asset(GRAPH_LIBRARY), _script()
    return Template(_asset("assets/page.html")).substitute(
        policy=html.escape(_policy(library, script)),
        title=html.escape(_encodable(data.title)),
        record=html.escape(_encodable(data.record)),
        style=_asset("assets/page.css"),
        data=embedded_json(data),
        library=library,
        script=script,
    )


def embedded_json(data: PageData) -> str:
    """`data` as JSON that can stand in a script element: nothing in it ends the element or begins a comment."""
    text = dump_json(data.to_json())
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


@functools.cache
def _asset(name: str) -> str:
    # Not through importlib.resources, whose import takes longer than all the rest of a page.
    return (Path(__file__).parent / name).read_text("utf-8")


@functools.cache
def _script() -> str:
    parts = "\n".join(_asset(f"assets/{name}.js") for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}\n}})();'


@functools.cache
def _policy(*scripts: str) -> str:
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{value}'" for value in hashes)
    # The graph library adds a style element of its own.
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'"
    )


def _encodable(text: str) -> str:
    """`text` without lone surrogates, which no file can hold."""
    return text.encode("utf-8", "replace").decode()
