from __future__ import annotations

import dataclasses

import pytest

from sweeper.budget import Budget
from sweeper.cli import plan_page
from sweeper.forecast import forecast
from sweeper.launch.prospect import Node, Prospect
from sweeper.plan_request import PlanRequest, taken
from sweeper.planning import Planned, PlannedBranch, Runs
from sweeper.trial import Resources

HALF = Resources(cpus=2.0, gpus=0.5)
RUNS = Runs("digits", (60.0, 180.0))
NEW = Planned(
    study="digits",
    directions=("maximize",),
    storage="sqlite:////s.db",
    sampler="TPESampler",
    pruner="MedianPruner",
    params=3,
    points=None,
    n_trials=100,
    counts={"COMPLETE": 0, "PRUNED": 0, "FAIL": 0, "RUNNING": 0, "WAITING": 0},
    left=100,
    is_being_swept=False,
    budget=Budget(),
    n_branches=1,
    branches=(PlannedBranch({}, 3, (), HALF, None),),
    prospect=Prospect("the Ray cluster at a:1", (Node("one", 8.0, 4.0), Node("two", 8.0, 4.0)), 16.0, 8.0, 8),
    runs=None,
    forecast=None,
)
KNOWN = dataclasses.replace(
    NEW,
    counts=NEW.counts | {"COMPLETE": 38, "FAIL": 2},
    left=60,
    runs=RUNS,
    forecast=forecast(RUNS.took_s, 60, 8),
    n_branches=2,
    branches=(
        PlannedBranch({"model": "cnn"}, 3, (), HALF, Runs("digits", (180.0,))),
        PlannedBranch({"model": "m\x1b[2Jlp"}, 2, (), HALF, None),
    ),
    budget=Budget(wall_time_s=60.0, plateau_trials=10),
    is_being_swept=True,
)


def shown(planned: Planned, capsys: pytest.CaptureFixture[str]) -> str:
    plan_page.show(planned, PlanRequest())
    return capsys.readouterr().out


def test_without_a_run_on_record_no_time_is_claimed(capsys: pytest.CaptureFixture[str]) -> None:
    page = shown(NEW, capsys)

    assert page.startswith("digits: 100 trials, for a time that is not known yet\n")
    assert "100 of 100; the study is new" in page
    assert "0.5×GPU and 2 CPUs" in page
    assert "the Ray cluster at a:1: 16 CPU, 8 GPU\n" in page
    assert "--canary runs one trial" in page
    assert "branch" not in page
    assert page.endswith("nothing was started and nothing written\n")


def test_a_page_says_what_is_left_what_it_takes_and_what_stands_in_its_way(capsys: pytest.CaptureFixture[str]) -> None:
    page = shown(KNOWN, capsys)

    assert "60 of 100 are left: 38 complete, 2 fail" in page
    assert f"{KNOWN.gpu_hours:.3g} GPU-hours" in page
    assert "2 finished trials of digits, 2 min each on average" in page
    assert "wall time of 1 min, which ends it before its last trial" in page
    assert "digits is being swept: a launch needs --join" in page
    assert "2 branches; one trial of each was composed" in page
    assert "\x1b" not in page


def test_shares_of_a_gpu_are_counted_as_such() -> None:
    assert KNOWN.forecast is not None
    assert KNOWN.gpu_hours == pytest.approx(KNOWN.forecast.held_s * 0.5 / 3600)
    assert 60 * 60 / 2 / 3600 <= KNOWN.gpu_hours <= 60 * 180 / 2 / 3600


def test_a_request_is_heeded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PlanRequest(is_json=True, has_canary=True).variables().items():
        monkeypatch.setenv(name, value)

    assert taken() == PlanRequest(is_json=True, has_canary=True)
    assert taken() is None
