"""What figures are drawn from: right numbers, few of them, and a sentence."""

from __future__ import annotations

import pytest
from optuna.trial import TrialState, create_trial
from sqlalchemy import insert
from starlette.testclient import TestClient

from sweeper.history.schema import trial_values, trials
from tests.history.database import Written, add
from tests.web.conftest import visitor


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals rest on many forests; how good they are is importance's own test."""
    monkeypatch.setattr("sweeper.web.importance.RESAMPLES", 0)


def test_progress(site: TestClient) -> None:
    found = site.get("/api/progress?study=digits").json()
    assert found["gist"] == "Best val/accuracy 0.95 in trial 5; 3 trials since brought nothing better"
    assert found["complete"]["x"] == [0, 1, 2, 3, 4, 5] and found["failed"] == [7, 8] and found["last"] == 9
    assert found["best"] == found["complete"]


def test_the_best_so_far_goes_one_way(written: Written) -> None:
    study = written.study("s", ("minimize",))
    for value in (3.0, 5.0, 2.0, 2.0, float("inf"), 1.0):
        add(study, value)
    add(study, state=TrialState.PRUNED)
    found = visitor(written.url).get("/api/progress?study=s").json()
    assert found["best"] == {"x": [0, 2, 5], "y": [3.0, 2.0, 1.0]}
    assert found["complete"]["x"] == [0, 1, 2, 3, 5]
    assert found["pruned"]["y"] == []  # what it reported last was no number


def test_importance(site: TestClient) -> None:
    found = site.get("/api/importance?study=digits").json()
    assert {bar["name"] for bar in found["bars"]} == {"optimizer.lr", "model.depth", "model.act"}
    assert found["trials"] == 6 and not found["is_believable"] and "Not known yet" in found["gist"]


def test_importance_of_too_little_is_a_sentence(written: Written) -> None:
    add(written.study("s"), 1.0)
    found = visitor(written.url).get("/api/importance?study=s").json()
    assert found == {"gist": "4 finished trials are needed to say what mattered.", "bars": []}


def test_importance_is_worked_out_once_until_enough_has_been_added(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = written.study("s")
    for i in range(30):
        add(study, i / 30, lr=10.0 ** -(1 + i % 4))
    site = visitor(written.url)
    first = site.get("/api/importance?study=s").json()
    worked: list[str] = []
    monkeypatch.setattr("sweeper.web.importance._worked_out", lambda *given: worked.append("again"))
    add(study, 0.5)
    assert site.get("/api/importance?study=s").json() == first and not worked
    for _ in range(3):
        add(study, 0.5)
    assert site.get("/api/importance?study=s").status_code == 202  # the answer above is none
    assert worked == ["again"]


def test_parallel_coordinates_have_a_place_for_each_trial(site: TestClient) -> None:
    found = site.get("/api/parallel?study=digits").json()
    assert found["numbers"] == [5, 4, 3, 2, 1, 0] and found["ranks"] == [0, 1, 2, 3, 4, 5]
    assert {ruler["title"] for ruler in found["rulers"]} == {"optimizer.lr", "model.depth", "model.act", "val/accuracy"}
    assert all(len(ruler["places"]) == 6 for ruler in found["rulers"])


def test_slices_know_scales_and_choices(site: TestClient) -> None:
    panels = {panel["name"]: panel for panel in site.get("/api/slices?study=digits").json()["panels"]}
    assert panels["optimizer.lr"]["log"] and not panels["model.depth"]["log"]
    assert panels["model.act"]["x"] == ["null"] * 6
    assert sorted(panels["optimizer.lr"]["y"]) == [0.9, 0.91, 0.92, 0.93, 0.9400000000000001, 0.9500000000000001]


def test_curves_of_the_first_trials_of_a_view(site: TestClient) -> None:
    given = {"study": "digits", "metric": "loss", "where": "number < 3", "sort": "-number"}
    found = site.get("/api/curves", params=given).json()
    assert [curve["trial"] for curve in found["curves"]] == ["digits/2", "digits/1", "digits/0"]
    assert found["curves"][0]["values"] == [1.0, 0.5, 0.2]
    named = site.get("/api/curves", params={"metric": "loss", "trial": ["digits/6", "digits/9"]}).json()
    assert [curve["values"] for curve in named["curves"]] == [[1.0, None]]


def test_the_timeline_has_a_bar_for_each_attempt(site: TestClient) -> None:
    bars = site.get("/api/timeline?study=digits").json()["bars"]
    assert sorted(bar["number"] for bar in bars) == [0, 1, 2, 3, 4, 5, 6, 7, 7, 8, 9]


def test_an_objective_is_named(written: Written) -> None:
    study = written.study("two", ("maximize", "minimize"), ("acc", "size"))
    add(study, 0.5, 3.0)
    site = visitor(written.url)
    assert site.get("/api/progress?study=two&objective=size").json()["complete"]["y"] == [3.0]
    assert site.get("/api/progress?study=two&objective=speed").status_code == 400


@pytest.mark.parametrize("kind", ["progress", "importance", "parallel", "slices", "timeline", "curves"])
def test_nothing_to_draw_is_no_error(written: Written, kind: str) -> None:
    study = written.study("s")
    study.add_trial(create_trial(state=TrialState.RUNNING))
    answer = visitor(written.url).get(f"/api/{kind}?study=s&metric=loss")
    assert answer.status_code == 200 and answer.json()["gist"]


def test_a_large_study_is_thinned(written: Written) -> None:
    written.study("s", ("minimize",))
    ids = range(1, 4001)
    with written.engine.begin() as connection:
        of = [{"trial_id": i, "study_id": 1, "number": i - 1, "state": "COMPLETE"} for i in ids]
        connection.execute(insert(trials), of)
        values = [{"trial_id": i, "objective": 0, "value": 5000.0 - i, "value_type": "FINITE"} for i in ids]
        connection.execute(insert(trial_values), values)
    found = visitor(written.url).get("/api/progress?study=s").json()
    assert len(found["complete"]["x"]) <= 1501 and found["complete"]["x"][-1] == 3999
    assert len(found["best"]["x"]) <= 1501 and found["best"]["y"][-1] == 1000.0
