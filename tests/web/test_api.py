"""Programs get what pages show, whole and safe."""

from __future__ import annotations

import csv
import io
import math

import pytest
from starlette.testclient import TestClient

from tests.history.database import Written, add
from tests.web.conftest import visitor


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_every_trial_as_json_and_as_csv(site: TestClient) -> None:
    found = site.get("/api/trials", params={"study": "digits", "sort": "number"}).json()
    assert [row["number"] for row in found] == list(range(10))
    assert found[5]["value"] == 0.9500000000000001 and found[5]["params.optimizer.lr"] == 0.01
    assert found[6]["metrics.loss"] == "NaN" and found[7]["failure"] == "error" and found[9]["state"] == "RUNNING"
    answer = site.get("/api/trials", params={"study": "digits", "sort": "number", "format": "csv"})
    rows = table(answer.text)
    assert answer.headers["content-disposition"] == 'attachment; filename="trials.csv"'
    assert [row["number"] for row in rows] == [str(i) for i in range(10)]
    assert rows[5]["value"] == "0.9500000000000001" and rows[6]["metrics.loss"] == "NaN"


def test_more_trials_than_are_read_at_once(site: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeper.web.api._BATCH", 3)
    found = site.get("/api/trials", params={"study": "digits", "where": "number != 4"}).json()
    assert sorted(row["number"] for row in found) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert site.get("/api/trials", params={"study": "digits", "where": "number > 99"}).json() == []


def test_a_view_of_trials_is_the_pages(site: TestClient) -> None:
    given = {"study": "digits", "page": "2", "size": "3", "column": "metrics.loss"}
    found = site.get("/api/trials", params=given).json()
    assert [row["number"] for row in found] == [2, 1, 0]
    assert set(found[0]) == {"number", "metrics.loss", "started_at", "ended_at", "run"}


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("/api/studies", 1),
        ("/api/points?trial=digits/3", 5),
        ("/api/compare?trial=digits/1&trial=digits/2", 6),
        ("/api/space?study=digits", 3),
        ("/api/launches?study=digits", 1),
        ("/api/params?trial=digits/3", 3),
        ("/api/attempts?trial=digits/7", 2),
    ],
)
def test_each_table_is_there_in_both_forms(site: TestClient, path: str, count: int) -> None:
    assert site.get(path).headers["content-type"] == "application/json"
    rows = table(site.get(f"{path}{'&' if '?' in path else '?'}format=csv").text)
    assert len(rows) == count
    assert "there are json and csv" in site.get(f"{path}{'&' if '?' in path else '?'}format=xml").json()["error"]


def test_a_study_a_trial_a_comparison(site: TestClient) -> None:
    assert site.get("/api/study?study=digits").json()["failures"] == {"error": 1, "oom": 1}
    trial = site.get("/api/trial?trial=digits/7").json()
    assert [run["failure"] for run in trial["runs"]] == ["crashed", "error"]
    found = site.get("/api/compare?trial=digits/1&trial=digits/2").json()
    assert [row["key"] for row in found["differences"]] == ["seed", "seed"]


def test_a_spreadsheet_finds_no_formula(written: Written) -> None:
    study = written.study("=cmd|'/c calc'!A0")
    written.our_tables()
    add(study, 0.5, act=None)
    written.run("=cmd|'/c calc'!A0", 0, node="@SUM(1)", error="+1+1", curves={"-m": [math.inf]})
    site = visitor(written.url)
    studies = site.get("/api/studies?format=csv").text
    trials = site.get("/api/trials", params={"study": "=cmd|'/c calc'!A0", "format": "csv"}).text
    points = site.get("/api/points", params={"trial": "=cmd|'/c calc'!A0/0", "format": "csv"}).text
    assert "'=cmd" in studies and "'@SUM(1)" in trials and "'+1" in trials and "'-m" in points
    for text in (studies, trials, points):
        for row in csv.reader(io.StringIO(text)):
            assert not any(cell.startswith(("=", "@", "+", "\t")) for cell in row)


def test_the_mark_of_the_record_changes_when_something_happens(written: Written) -> None:
    study = written.study("s")
    written.our_tables()
    add(study, 0.5)
    run = written.run("s", 0, curves={"loss": [1.0]})
    site = visitor(written.url)
    asked = ("/api/pulse", "/api/pulse?study=s", "/api/pulse?trial=s/0")
    before = [site.get(path).json() for path in asked]
    assert [site.get(path).json() for path in asked] == before and run
    add(study, 0.7)
    after = [site.get(path).json() for path in asked]
    assert [a["mark"] != b["mark"] for a, b in zip(before, after, strict=True)] == [True, True, False]
    assert not any(found["live"] for found in after)


@pytest.mark.parametrize(
    ("path", "pulse"),
    [("/", ""), ("/study?study=digits", "?study=digits"), ("/trial?trial=digits/9", "?trial=digits/9")],
)
def test_a_page_carries_its_mark(site: TestClient, path: str, pulse: str) -> None:
    mark = site.get(f"/api/pulse{pulse}").json()["mark"]
    assert f'data-live="/api/pulse{pulse.replace("/", "%2F")}" data-mark="{mark}"' in site.get(path).text


def test_errors_are_json(site: TestClient) -> None:
    answer = site.get("/api/study?study=nothing")
    assert answer.status_code == 404 and "there is no study 'nothing'" in answer.json()["error"]
    assert site.get("/api/trials?study=digits&where=(").status_code == 400
