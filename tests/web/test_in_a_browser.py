"""The site in a real Chromium: its pages on a desk and a phone, light and dark; what people do; a sweep seen moving."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from optuna.trial import TrialState, create_trial
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from sweeper.record import open_database
from sweeper.sight import Sight
from sweeper.web.address import study_address
from sweeper.web.server import bound
from sweeper.web.site import create_site
from sweeper.web.source import Source
from tests.document.test_report import HOSTILE, hostile_study
from tests.history.database import Written, digits, sqlite_url
from tests.web.conftest import card, sweep

pytestmark = pytest.mark.slow

TOKEN = "the token of these tests"
HOSTILE_TRIAL = f"{HOSTILE}/3"

APP = """
import hydra
from pathlib import Path

@hydra.main(version_base=None, config_path=None)
def main(cfg):
    Path("gate").read_text()  # a pipe: the trial ends when the test lets it
    return cfg.x

main()
"""


@dataclass
class Place:
    """The site, served over one database, and the browser that looks at it."""

    folder: Path
    url: str
    origin: str
    browser: Browser
    complaints: list[str] = field(default_factory=list)

    @contextmanager
    def context(self, **options: object) -> Iterator[BrowserContext]:
        """A browser that has been let in."""
        context = self.browser.new_context(**options)  # type: ignore[arg-type]
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.goto(f"{self.origin}/?token={TOKEN}")
        page.close()
        yield context
        context.close()

    def look(self, context: BrowserContext, path: str) -> Page:
        """A page whose every complaint is kept, with all its figures drawn."""
        page = context.new_page()
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        page.on(
            "request", lambda asked: asked.url.startswith((self.origin, "data:")) or self.complaints.append(asked.url)
        )
        page.goto(self.origin + path)
        for figure in page.locator("figure[data-figure]").all():
            figure.scroll_into_view_if_needed()
            expect(figure.locator(".gist")).not_to_be_empty()
            expect(figure.locator(".plot svg.main-svg").first.or_(figure.locator(".plot[hidden]"))).to_be_attached()
        return page


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sweeper.web.importance.RESAMPLES", 0)  # intervals are importance's own test
        expect.set_options(timeout=30_000)  # of a busy machine
        yield from _served(tmp_path_factory.mktemp("site"))
        expect.set_options(timeout=None)


def _served(folder: Path) -> Iterator[Place]:
    written = Written(sqlite_url(folder))
    open_database(written.url).engine.dispose()  # our tables as a sweep finds them
    digits(written, folder)
    hostile_study(written)
    writing(written, folder)
    written.close()
    listening = bound("127.0.0.1", 0)
    port = listening.getsockname()[1]
    seen = Sight(
        "the Ray cluster at 10.0.0.1:6379",
        [card("GPU-a", utilization=0.97), card("GPU-b", others=[4711])],
        [sweep("digits")],
    )
    source = Source.of(written.url, look=lambda: seen)
    server = uvicorn.Server(uvicorn.Config(create_site(source, TOKEN, port=port), log_level="error"))
    server.config.h11_max_incomplete_event_size = 1 << 20
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    chromium = shutil.which("chromium")
    assert chromium, "scripts/test installs chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield Place(folder, written.url, f"http://127.0.0.1:{port}", browser)
        browser.close()
    server.should_exit = True
    thread.join()


def writing(written: Written, folder: Path) -> None:
    """A trial that runs and has written a little of its log."""
    written.study("writing").add_trial(create_trial(state=TrialState.RUNNING))
    run = folder / "writing"
    run.mkdir()
    (run / "trial.log").write_text("epoch 0\n")
    written.run("writing", 0, state="RUNNING", ended_at=None, runtime_s=None, folder=str(run))


PAGES = {
    "studies": "/",
    "study": "/study?study=digits",
    "trial that failed": "/trial?trial=digits/7",
    "trial": "/trial?trial=digits/3",
    "compare": "/compare?trial=digits/3&trial=digits/5&all=1",
    "hostile study": study_address(HOSTILE),
    "hostile trial": "/trial?" + urllib.parse.urlencode({"trial": HOSTILE_TRIAL}),
    "not on record": "/study?study=nothing",
    "cluster": "/cluster",
}


ON_A_DESK = ("studies", "study", "trial", "hostile trial", "not on record")
ON_A_PHONE = ("study", "trial that failed", "compare", "hostile study", "cluster")


@pytest.fixture(scope="module")
def desk(place: Place) -> Iterator[BrowserContext]:
    with place.context(viewport={"width": 1200, "height": 800}, color_scheme="light") as context:
        yield context


@pytest.fixture(scope="module")
def phone(place: Place) -> Iterator[BrowserContext]:
    with place.context(viewport={"width": 390, "height": 800}, color_scheme="dark") as context:
        yield context


@pytest.mark.parametrize(
    ("name", "where"), [*((name, "desk") for name in ON_A_DESK), *((name, "phone") for name in ON_A_PHONE)]
)
def test_a_page_reads_well(place: Place, request: pytest.FixtureRequest, name: str, where: str) -> None:
    place.complaints.clear()
    page = place.look(request.getfixturevalue(where), PAGES[name])
    assert [said for said in place.complaints if "404 (Not Found)" not in said] == []
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page).response["violations"]
    serious = [
        (one["id"], [node["html"][:200] for node in one["nodes"]][:3])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []
    page.close()


def test_nothing_that_is_on_record_runs(place: Place) -> None:
    with place.context() as context:
        place.complaints.clear()
        page = place.look(context, PAGES["hostile study"])
        assert page.locator("h1 script, table script, .plot script").count() == 0
        assert "<script>alert(1)" in page.locator("h1").inner_text()
        assert "\u202e" not in page.locator("body").inner_text()
        page.locator("figure[data-figure=progress] .plot").hover()
        page.locator("td a").first.click()
        expect(page.locator("h1")).to_contain_text("<script>alert(1)")
        assert place.complaints == []


def test_tables_need_no_javascript(place: Place) -> None:
    with place.context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(place.origin + PAGES["study"])
        first = page.locator("[data-region=board] tbody tr").first
        assert first.locator("a").inner_text() == "5"
        page.get_by_role("link", name="optimizer.lr").click()
        assert "sort=params.optimizer.lr" in page.url and first.locator("a").inner_text() == "3"
        page.get_by_label("Filter").fill("state = fail")
        page.get_by_role("button", name="Apply").click()
        assert page.locator("[data-region=board] tbody tr").count() == 2
        page.get_by_label("compare trial 7").check()
        page.get_by_label("compare trial 8").check()
        page.get_by_role("button", name="Compare").click()
        assert page.locator("h1").inner_text() == "2 trials side by side"


def test_sorted_filtered_chosen_compared_and_passed_on(place: Place) -> None:
    with place.context() as context:
        page = place.look(context, PAGES["study"])
        rows = page.locator("[data-region=board] tbody tr")
        page.get_by_role("link", name="optimizer.lr").click()
        expect(rows.first.locator("a")).to_have_text("3")
        expect(page.locator("th[aria-sort=ascending]")).to_have_text("optimizer.lr ▲")
        expect(page.locator("#curves .legendtext").first).to_have_text("trial 3")  # drawn of the same trials
        page.get_by_label("Filter").fill("value > 0.92")
        page.get_by_label("Filter").press("Enter")
        expect(rows).to_have_count(3)
        assert "sort=params.optimizer.lr" in page.url  # what was sorted stays so
        page.locator(".columns summary").click()
        page.locator(".columns").get_by_label("metrics.loss").check()
        page.get_by_role("button", name="Apply").click()
        expect(page.get_by_role("link", name="loss", exact=True)).to_be_visible()
        passed_on = place.look(context, page.url.removeprefix(place.origin))
        shown = [one.locator("[data-region=board] tbody").inner_text() for one in (page, passed_on)]
        assert shown[0] == shown[1]
        for number in (3, 5):
            page.get_by_label(f"compare trial {number}").check()
        page.get_by_role("button", name="Compare 2 trials").click()
        expect(page.locator("h1")).to_have_text("2 trials side by side")
        page.get_by_role("link", name="Show every key").click()
        expect(page.get_by_role("link", name="Only those that differ")).to_be_visible()


def test_the_keyboard_suffices(place: Place) -> None:
    with place.context() as context:
        page = place.look(context, PAGES["study"])
        page.keyboard.press("/")
        expect(page.get_by_label("Filter")).to_be_focused()
        page.keyboard.press("Tab")
        page.locator("main").focus()
        for key in ("j", "x", "j", "x"):
            page.keyboard.press(key)
        page.keyboard.press("c")
        expect(page.locator("h1")).to_have_text("2 trials side by side")
        page.keyboard.press("g")
        expect(page.locator("h1")).to_have_text("Studies")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="To the content")).to_be_focused()


def test_a_command_is_copied(place: Place) -> None:
    with place.context(permissions=["clipboard-read", "clipboard-write"]) as context:
        page = place.look(context, PAGES["trial"])
        page.get_by_role("button", name="Copy").first.click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == "python SCRIPT optimizer.lr=0.1"


def test_a_log_is_followed(place: Place) -> None:
    with place.context() as context:
        page = place.look(context, "/trial?trial=writing/0")
        log = page.locator("pre.log")
        expect(log).to_have_text("epoch 0\n")
        with (place.folder / "writing" / "trial.log").open("a") as file:
            file.write("epoch 1 <b>\n")
        expect(log).to_contain_text("epoch 1 <b>")


def test_a_page_says_that_it_may_be_old(place: Place) -> None:
    with place.context() as context:
        page = place.look(context, "/study?study=writing")
        context.set_offline(True)
        expect(page.locator("#stale")).to_contain_text("cannot be reached")
        context.set_offline(False)
        expect(page.locator("#stale")).to_have_count(0)


def test_a_sweep_is_seen_moving(place: Place) -> None:
    (place.folder / "app.py").write_text(APP)
    gate = place.folder / "gate"
    os.mkfifo(gate)
    words = ["hydra/sweeper=sweeper", "hydra.sweeper.launcher=inline", "hydra.sweeper.study_name=moving"]
    words += ["hydra.sweeper.n_trials=2", "hydra.sweeper.sampler.seed=1", "+x=interval(0,1)", "hydra.job.chdir=false"]
    sweep = subprocess.Popen(
        [sys.executable, "app.py", "-m", *words],
        cwd=place.folder,
        env=os.environ | {"SWEEPER_STORAGE": place.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        assert sweep.stdout
        while b"moving/0 started" not in (line := sweep.stdout.readline()):
            assert line, "the sweep has ended"
        with place.context() as context:
            page = place.look(context, "/study?study=moving")
            expect(page.locator("[data-region=head]")).to_contain_text("No finished trial yet")
            gate.write_text("go")
            expect(page.locator("[data-region=head]")).to_contain_text("1 of 2")
            expect(page.locator("[data-region=board] td.complete")).to_have_count(1)
            gate.write_text("go")
            expect(page.locator("[data-region=head]")).to_contain_text("finished")
            expect(page.locator("[data-region=board] td.complete")).to_have_count(2)
        assert sweep.wait(timeout=40) == 0
    finally:
        sweep.kill()
        sweep.communicate()
