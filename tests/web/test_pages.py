"""Each page says what is on record, its controls are links and forms, and what goes wrong is said in a sentence."""

from __future__ import annotations

import re
import urllib.parse
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.document.page import Page
from tests.document.test_report import HOSTILE, hostile_study
from tests.history.database import Written, add
from tests.web.conftest import visitor


def look(site: TestClient, path: str, status: int = 200, **given: str | list[str]) -> Page:
    answer = site.get(path, params=given or None)
    assert answer.status_code == status, answer.text
    return Page(answer.text)


def numbers(page: Page) -> list[int]:
    """The trials of a leaderboard, from top to bottom."""
    boxes = [box for box in page.all("input") if box.get("name") == "trial"]
    return [int(str(box["value"]).rpartition("/")[2]) for box in boxes]


def heads(page: Page) -> list[str]:
    """The titles of a leaderboard's columns."""
    (table,) = re.findall(r"<caption[^>]*>Trials</caption>.*?</thead>", page.html, re.S)
    return [re.sub(r"<[^>]+>| [▲▼]", "", head).strip() for head in re.findall(r"<th[^>]*>(.*?)</th>", table, re.S)]


def test_all_studies_with_their_best(site: TestClient) -> None:
    page = look(site, "/")
    assert {"digits", "maximize val/accuracy", "0.95"} <= set(page.words)
    links = {link["href"] for link in page.all("a")}
    assert {"/study?study=digits", "/trial?trial=digits%2F5"} <= links


def test_a_study_at_a_glance(site: TestClient) -> None:
    page = look(site, "/study", study="digits")
    for said in ("maximize val/accuracy", "best val/accuracy", "finished trials", "ada@node-a", "1e-05 … 0.1, log"):
        assert said in page.text
    assert "10: 6 complete, 1 pruned, 2 failed (1 error, 1 oom), 1 running" in page.text
    assert [figure["data-figure"] for figure in page.all("figure")] == [
        "progress",
        "importance",
        "curves",
        "parallel",
        "slices",
        "timeline",
    ]


def test_the_best_come_first_and_those_without_a_value_last(site: TestClient) -> None:
    assert numbers(look(site, "/study", study="digits")) == [5, 4, 3, 2, 1, 0, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("sort", "first"),
    [
        ("number", [0, 1, 2]),
        ("-number", [9, 8, 7]),
        ("params.optimizer.lr", [3, 2, 6]),
        ("-metrics.loss", [5, 4, 3]),
        ("seed", [0, 1, 2]),
        ("failure", [7, 8, 0]),
    ],
)
def test_sorted_by_any_field(site: TestClient, sort: str, first: list[int]) -> None:
    page = look(site, "/study", study="digits", sort=sort)
    assert numbers(page)[:3] == first


def test_a_head_sorts_the_other_way_round_when_it_is_followed_again(site: TestClient) -> None:
    page = look(site, "/study", study="digits", sort="params.optimizer.lr")
    (head,) = [head for head in page.all("th") if "aria-sort" in head]
    assert head["aria-sort"] == "ascending"
    assert "/study?study=digits&sort=-params.optimizer.lr" in {link["href"] for link in page.all("a")}


def test_filtered_by_a_query(site: TestClient) -> None:
    page = look(site, "/study", study="digits", where="value > 0.92 and state = complete", sort="number")
    assert numbers(page) == [3, 4, 5]
    assert "1–3 of 3 trials that match" in page.text


def test_a_query_that_cannot_be_understood_is_explained_above_all_trials(site: TestClient) -> None:
    page = look(site, "/study", 400, study="digits", where="valeu > 1")
    assert "valeu is no field: did you mean value?" in page.text
    assert len(numbers(page)) == 10


def test_nothing_that_matches(site: TestClient) -> None:
    assert "No trial matches this filter." in look(site, "/study", study="digits", where="value > 2").text


def test_columns_are_chosen(site: TestClient) -> None:
    page = look(site, "/study", study="digits", column=["metrics.loss", "node"])
    assert heads(page) == ["trial", "loss", "node"]
    shown = [box["value"] for box in page.all("input") if box.get("name") == "column" and "checked" in box]
    assert shown == ["metrics.loss", "node"]


def test_pages_of_a_long_table(site: TestClient) -> None:
    page = look(site, "/study", study="digits", size="4", page="2", sort="number")
    assert numbers(page) == [4, 5, 6, 7]
    assert "5–8 of 10 trials" in page.text and "page 2 of 3" in page.text
    links = {link["href"] for link in page.all("a")}
    assert {f"/study?study=digits&sort=number{n}&size=4" for n in ("", "&page=3")} <= links
    assert "This page is beyond the last trial." in look(site, "/study", study="digits", page="9").text


@pytest.mark.parametrize("given", [{"page": "0"}, {"page": "x"}, {"size": "999"}, {"page": "9" * 40}])
def test_a_number_that_is_none_is_refused(site: TestClient, given: dict[str, str]) -> None:
    assert "is no number from 1 to" in look(site, "/study", 400, study="digits", **given).text


def test_a_trial_that_failed(site: TestClient) -> None:
    page = look(site, "/trial", trial="digits/7")
    for said in (
        "fail: error",
        "attempt 2 of 2",
        "ValueError: learning rate too high",
        "in main",
        "killed by signal 9",
    ):
        assert said in page.text
    assert "epoch 99" in page.text and "python SCRIPT optimizer.lr=0.1" in page.text
    first = look(site, "/trial", trial="digits/7", attempt="0")
    assert "attempt 1 of 2" in first.text and "The log is not on this machine" in first.text


def test_a_parameter_that_is_none_is_told_from_none_at_all(site: TestClient) -> None:
    assert "null" in look(site, "/study", study="digits").words
    assert look(site, "/trial", trial="digits/3").words.count("null") == 2  # its own and the best one's


def test_a_trial_beside_the_best(site: TestClient) -> None:
    page = look(site, "/trial", trial="digits/2")
    assert "best (trial 5)" in page.text and "seed: 2" in page.text and "0.92" in page.text
    assert "/compare?trial=digits%2F2&trial=digits%2F5" in {link["href"] for link in page.all("a")}


def test_trials_side_by_side(site: TestClient) -> None:
    page = look(site, "/compare", trial=["digits/1", "digits/2"])
    assert "Different: config, seed" in page.text or "different: config, seed" in page.text
    assert {"trial 1", "trial 2", "seed", "1001", "1002"} <= set(page.words)
    assert "optimizer.lr" not in page.words
    assert "optimizer.lr" in look(site, "/compare", trial=["digits/1", "digits/2"], all="1").words


@pytest.mark.parametrize("count", [0, 1, 21])
def test_too_few_or_too_many_to_compare(site: TestClient, count: int) -> None:
    page = look(site, "/compare", 400, trial=[f"digits/{i}" for i in range(count)])
    assert "cannot be compared: pick 2 to 20" in page.text


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/study?study=digit", "did you mean 'digits'?"),
        ("/trial?trial=digits/99", "its trials are 0 to 9"),
        ("/trial?trial=digits", "names no trial"),
        ("/compare?trial=digits/1&trial=nothing/2", "there is no study 'nothing'"),
        ("/file?trial=digits/1&name=x", "keeps no 'x'"),
        ("/no/such/page", "There is no such page."),
    ],
)
def test_what_is_not_on_record_is_said_with_a_way_on(site: TestClient, path: str, said: str) -> None:
    page = look(site, path, 404)
    assert said in page.text and {"href": "/"} in page.all("a")


def test_an_address_that_lacks_something(site: TestClient) -> None:
    assert "the address lacks study=…" in look(site, "/study", 400).text


def test_an_empty_database_says_what_to_do(written: Written) -> None:
    assert "launch one with `sweeper launch train.py …`" in look(visitor(written.url), "/").text


def test_a_study_without_a_finished_trial(written: Written) -> None:
    written.study("fresh")
    page = look(visitor(written.url), "/study", study="fresh")
    assert "No finished trial yet" in page.text and "No trial yet." in page.text and not page.all("figure")


def test_a_study_that_sweeper_did_not_write(written: Written) -> None:
    add(written.study("theirs", ("minimize",)), 0.5)
    site = visitor(written.url)
    assert numbers(look(site, "/study", study="theirs", sort="seed")) == [0]
    assert "sweeper did not run this trial" in look(site, "/trial", trial="theirs/0").text
    assert "sweeper did not launch this study." in look(site, "/study", study="theirs").text


def test_several_objectives_are_columns_of_their_own(written: Written) -> None:
    study = written.study("two", ("maximize", "minimize"), ("acc", "size"))
    add(study, 0.5, 3.0)
    add(study, 0.7, 9.0)
    site = visitor(written.url)
    assert heads(look(site, "/study", study="two"))[:4] == ["trial", "state", "acc", "size"]
    assert numbers(look(site, "/study", study="two", sort="values.size")) == [0, 1]
    assert "maximize acc, minimize size" in look(site, "/study", study="two").text


def test_a_database_that_is_gone_is_told_and_comes_back(written: Written, tmp_path: Path) -> None:
    site = visitor(written.url)
    path = Path(written.url.removeprefix("sqlite:///"))
    path.rename(tmp_path / "away")
    page = look(site, "/", 503)
    assert "Out of reach" in page.words and "cannot be read" in page.text
    assert "error" in site.get("/api/studies").json()
    (tmp_path / "away").rename(path)
    look(site, "/")


def test_whatever_is_on_record_is_shown_as_text(written: Written) -> None:
    hostile_study(written)
    site = visitor(written.url)
    trials = [f"{HOSTILE}/3", f"{HOSTILE}/5"]
    for page in (
        look(site, "/"),
        look(site, "/study", study=HOSTILE),
        look(site, "/study", study=HOSTILE, column=[f"params.{HOSTILE[:500]}", f"metrics.{HOSTILE[:500]}", "node"]),
        look(site, "/trial", trial=trials[0]),
        look(site, "/trial", trial=f"{HOSTILE}/12"),
        look(site, "/compare", trial=trials, all="1"),
        look(site, "/study", 404, study=HOSTILE + "x"),
        look(site, "/study", 400, study=HOSTILE, where=HOSTILE),
    ):
        assert not page.open_tags
        assert all(str(script["src"]).startswith("/static/") for script in page.all("script"))
        assert not any(name.startswith("on") or name == "style" for _, given in page.tags for name in given)
        seen = [page.text, *(str(given.get(name)) for _, given in page.tags for name in ("title", "aria-label"))]
        assert not any("\x1b" in text or "\u202e" in text for text in seen)
        assert "<script>alert(1)" in page.text


def test_links_lead_back_to_what_they_name(written: Written) -> None:
    hostile_study(written)
    site = visitor(written.url)
    for link in look(site, "/").all("a"):
        href = str(link["href"])
        if href.startswith("/study"):
            assert urllib.parse.parse_qs(href.partition("?")[2])["study"] == [HOSTILE]
            assert site.get(href).status_code == 200
