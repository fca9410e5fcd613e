from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from marin.execution.page.data import PageData, StepData
from marin.execution.page.render import render_page
from marin.execution.status import StepStatus

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

MakeStep = Callable[..., StepData]
MakePage = Callable[..., PageData]


@pytest.fixture
def make_step() -> MakeStep:
    """Makes a step of which only what a test looks at needs saying: `make_step(3, name="train")`."""

    def make(number: int, **fields: object) -> StepData:
        values = {
            "name": f"step-{number}",
            "state": StepStatus.SUCCESS,
            "output_path": f"/prefix/step-{number}",
            **fields,
        }
        return StepData(id=number, **values)

    return make


@pytest.fixture
def make_page() -> MakePage:
    """Makes a page of the given steps."""

    def make(*steps: StepData, **fields: object) -> PageData:
        values = {
            "title": "compare",
            "prefix": "/prefix",
            "record": "/prefix/experiments/compare-123456.json",
            "generated": "2026-11-24T12:00:00+00:00",
            **fields,
        }
        return PageData(steps=steps, **values)

    return make


@pytest.fixture(scope="session")
def chromium() -> Generator["WebDriver"]:
    """A headless Chromium, 1200 by 900 pixels; one for all tests, for starting it takes a second."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


@pytest.fixture
def open_page(chromium: "WebDriver", tmp_path: Path) -> Callable[..., "WebDriver"]:
    """Opens the static page of data as a file, in a window of a width."""

    def open_file(data: PageData, fragment: str = "", width: int = 1200) -> "WebDriver":
        path = tmp_path / "page.html"
        path.write_text(render_page(data), encoding="utf-8")
        set_width(chromium, width)
        # An address that differs in its fragment alone would not be loaded again.
        chromium.get("about:blank")
        chromium.get(f"{path.as_uri()}#{fragment}")
        return chromium

    return open_file


@pytest.fixture(autouse=True)
def no_errors_in_the_browser(request: pytest.FixtureRequest) -> Generator[None]:
    """A test in the browser begins with a wide window; after it, the console has no error and no broken policy."""
    if not request.node.get_closest_marker("browser"):
        yield
    else:
        driver: WebDriver = request.getfixturevalue("chromium")
        set_width(driver, 1200)
        yield
        # A server that has gone is what a test of the live page makes.
        said = [entry["message"] for entry in driver.get_log("browser")]
        assert [message for message in said if "ERR_CONNECTION_REFUSED" not in message] == []


def set_width(driver: "WebDriver", width: int) -> None:
    """Have the page be `width` pixels wide; windows themselves are never as narrow as a phone."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
