import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from marin.execution.page.render import render_page

HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "&lt;/script&gt;",
    "$data ${library}",
    "\u2028\u2029\x00",
    "\"'><svg onload=alert(1)>",
]


class Elements(HTMLParser):
    """The elements of a page, and the text in each script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.scripts: list[str] = []
        self.policy = ""
        self.is_in_script = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        if tag == "script":
            self.scripts.append("")
            self.is_in_script = True
        if dict(attrs).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attrs)["content"] or ""

    def handle_endtag(self, tag: str) -> None:
        self.is_in_script = False

    def handle_data(self, data: str) -> None:
        if self.is_in_script:
            self.scripts[-1] += data


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_an_experiment_is_markup(make_page, make_step, text) -> None:
    harmless = Elements(render_page(make_page(make_step(0), title="title")))
    step = make_step(0, name=text, config={text: text}, error=text, traceback=text, files={text: text})
    page = make_page(step, title=text, description=text, record=text, provenance={text: text})
    elements = Elements(render_page(page))
    assert elements.names == harmless.names
    assert elements.scripts[1:] == harmless.scripts[1:]
    assert json.loads(elements.scripts[0]) == page.to_json()


def test_only_the_scripts_of_the_page_may_run(make_page) -> None:
    elements = Elements(render_page(make_page()))
    assert len(elements.scripts) == 3
    for script in elements.scripts[1:]:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in elements.policy
    script_policy = re.search(r"script-src ([^;]*);", elements.policy)
    assert script_policy is not None
    assert "unsafe" not in script_policy[1]
    assert elements.policy.startswith("default-src 'none'")


def test_the_page_needs_no_other_file(make_page, make_step) -> None:
    page = render_page(make_page(make_step(0)))
    assert re.findall(r"<(?:script|link|img|iframe)[^>]*\b(?:src|href)=[\"']([^\"']*)", page) == ["data:,"]
    assert "@import" not in page
    assert "url(" not in page.split("<style>", 1)[1].split("</style>", 1)[0]


def test_a_small_experiment_is_a_small_page(make_page, make_step) -> None:
    assert len(render_page(make_page(*(make_step(number) for number in range(20)))).encode()) < 600_000


def test_a_title_that_cannot_be_encoded_does_not_stop_the_page(make_page) -> None:
    assert "<title>cut ? off</title>" in render_page(make_page(title="cut \ud83d off")).encode().decode()
