"""The report in a real Chromium: nothing runs, nothing is fetched, nothing sticks out, on a desk, a phone and paper."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.document.page import report_on
from tests.document.test_report import HOSTILE, hostile_study
from tests.history.database import Written, digits, sqlite_url

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "scripts/test installs chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=["digits", "hostile", "empty"])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    written = Written(sqlite_url(folder))
    if request.param == "digits":
        digits(written, folder)
    elif request.param == "hostile":
        hostile_study(written)
    else:
        written.study("empty")
    written.close()
    path = folder / "report.html"
    path.write_text(report_on(written.url, HOSTILE if request.param == "hostile" else request.param).html)
    return path


@pytest.mark.parametrize("width", [390, 1100])
def test_a_page_that_reads_well(browser: Browser, report: Path, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    assert complaints == [] and asked == [report.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for figure in page.locator("figure").all():
        box = figure.bounding_box()
        assert box is not None and box["height"] > 50 and box["x"] + box["width"] <= width
    assert page.locator("h2").count() == page.locator("nav a").count() >= 2
    page.close()


def test_it_prints(browser: Browser, report: Path) -> None:
    page = browser.new_page()
    page.goto(report.as_uri())
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()
