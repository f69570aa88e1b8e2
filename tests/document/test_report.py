"""The report says what is on record, section by section, and is a page that needs and does nothing else."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial
from scipy.stats import t
from sqlalchemy import insert, select

from sweeper.errors import NotFound
from sweeper.record import tables
from tests.document.page import NOW, Page, report_on
from tests.history.database import STARTED, Written, digits, optimize, sqlite_url

HOSTILE = "<script>alert(1)</script>\"'&{{7*7}} \u202egnp.exe \x1b[31m ../../etc/passwd " + "x" * 3000


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals rest on many forests; how good they are is importance's own test."""
    monkeypatch.setattr("sweeper.document.importance_section.RESAMPLES", 2)


@pytest.fixture
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    written = Written(sqlite_url(tmp_path_factory.mktemp("report")))
    yield written
    written.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The report on ten trials of every fate."""
    folder = tmp_path_factory.mktemp("digits")
    written = Written(sqlite_url(folder))
    digits(written, folder)
    written.close()
    return report_on(written.url, "digits")


def titles(page: Page) -> list[str]:
    """The sections' names, as the list of contents has them."""
    anchors = [str(link["href"]) for link in page.all("a")]
    assert anchors == [f"#{section['id']}" for section in page.all("section")]
    return anchors


def test_every_section_whose_facts_are_on_record_is_there(page: Page) -> None:
    assert titles(page) == [
        "#best-trials",
        "#what-was-swept",
        "#progress",
        "#importance-0",
        "#learning-curves",
        "#timeline",
        "#failures",
        "#what-else-differs-among-the-best",
        "#run-the-best-again",
    ]
    assert len(page.all("svg")) >= 5
    assert all(drawing["role"] == "img" for drawing in page.all("svg"))


def test_what_was_swept_by_whom_and_where(page: Page) -> None:
    for said in ("maximize val/accuracy", "ada@node-a", "TPESampler", "NopPruner", "node-a (10 trials)"):
        assert said in page.text
    assert "10: 6 complete, 1 pruned, 2 failed (1 error, 1 oom), 1 running" in page.text
    assert "1e-05 … 0.1, log" in page.text and "relu | null | true | 3" in page.text


def test_failures_are_told_by_kind_with_their_first_error(page: Page) -> None:
    assert "2 trials of 9 failed (22%)." in page.text
    assert "ValueError: learning rate too high" in page.text and "out of memory" in page.text


def test_the_best_can_be_run_again(written: Written, page: Page) -> None:
    study = written.study("s", ("maximize",))
    written.our_tables()
    sweep = written.sweep("s", command="python 'my app/train.py' -m lr='interval(0,1)'")
    study.add_trial(create_trial(value=1.0, params={}, distributions={}))
    written.run("s", 0, sweep=sweep, overrides=json.dumps(["model=cnn", "note='it is'"]))
    text = report_on(written.url, "s").text
    assert "python 'my app/train.py' model=cnn 'note='\"'\"'it is'\"'\"''" in text
    assert "sweeper reproduce" not in text  # no code is on record
    assert "Config of trial 0" in text and "seed: 0" in text
    assert "python SCRIPT optimizer.lr=0.1" in page.text  # the launch of this run is not on record


def test_what_the_best_changed_is_told(written: Written) -> None:
    study = written.study("s", ("maximize",))
    written.our_tables()
    defaults = {"model": {"depth": 2, "act": "relu"}, "lr": 0.1, "old": None}
    sweep = written.sweep("s", defaults=json.dumps(defaults))
    study.add_trial(create_trial(value=1.0, params={}, distributions={}))
    written.run("s", 0, sweep=sweep, config=json.dumps({"model": {"depth": 8, "act": "relu"}, "lr": 0.1, "new": [1]}))
    page = report_on(written.url, "s")
    assert "#best-against-the-default" in titles(page)
    start = page.words.index("trial 0")
    assert page.words[start + 1 : start + 10] == ["model.depth", "2", "8", "old", "null", "–", "new", "–", "[1]"]


@pytest.mark.slow
def test_whether_the_best_can_be_compared_is_told(written: Written) -> None:
    """Two trials of one config, another seed and another torch."""
    study = written.study("s", ("maximize",))
    written.our_tables()
    sweep = written.sweep("s")
    for number, torch in enumerate(("2.4.0", "2.5.1")):
        document = json.dumps({"packages": {"torch": torch, "rich": "14.0"}})
        with written.engine.begin() as connection:
            row = {"environment": str(number) * 64, "document": document, "captured_at": 1.0}
            connection.execute(insert(tables.environments), [row])
        study.add_trial(create_trial(value=1.0 - number, params={}, distributions={}))
        curves = {"acc": [0.5, 0.7 + number / 10]}
        written.run("s", number, sweep=sweep, environment=str(number) * 64, config='{"a": 1}', curves=curves)
    page = report_on(written.url, "s")
    said = "Beside their parameters, of the 2 best trials: the same: config; different: seed, packages"
    assert said in page.text and "Their curves part at step 1, first in acc." in page.text
    start = page.words.index("torch")
    assert page.words[start - 1 : start + 3] == ["packages", "torch", "2.4.0", "2.5.1"]
    assert "rich" not in page.words and "sweeper compare s/0 s/1 --all" in page.text


def test_the_page_needs_no_network_and_runs_nothing(page: Page) -> None:
    assert not page.open_tags
    assert not page.all("script") and not page.all("link") and not page.all("iframe")
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "xlink:href", "action"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert "default-src 'none'" in page.html


@pytest.mark.slow
def test_a_study_that_sweeper_did_not_write(written: Written) -> None:
    study = written.study("theirs", ("minimize",))
    optimize(study, lambda trial: trial.suggest_float("x", 0, 1) ** 2, n_trials=25)
    page = report_on(written.url, "theirs")
    assert titles(page)[0] == "#best-trials" and "#timeline" in titles(page) and "#failures" not in titles(page)
    assert "sweeper did not launch this study" in page.text
    assert "On which node or GPU trials ran is not on record." in page.text
    assert f"sweeper did not run trial {study.best_trial.number}" in page.text


def test_repeated_parameters_have_their_mean_and_its_interval(written: Written) -> None:
    study = written.study("s", ("maximize",))
    values = [0.90, 0.94, 0.89]
    for x, value in [(0.1, values[0]), (0.1, values[1]), (0.1, values[2]), (0.2, 0.95)]:
        study.add_trial(create_trial(value=value, params={"x": x}, distributions={"x": FloatDistribution(0, 1)}))
    page = report_on(written.url, "s")
    reach = t.ppf(0.95, 2) * statistics.stdev(values) / math.sqrt(3)
    assert f"{statistics.fmean(values):.5g} ± {reach:.2g} (3 runs)" in page.text
    assert "ran once" in page.text and "90% interval" in page.text


def test_single_runs_are_said_to_prove_little(written: Written) -> None:
    study = written.study("s")
    study.add_trial(create_trial(value=1.0, params={}, distributions={}))
    page = report_on(written.url, "s")
    assert "Each of these parameters ran once" in page.text


def test_code_environment_and_gpus_where_they_are_on_record(written: Written) -> None:
    study = written.study("s")
    study.add_trial(create_trial(value=1.0, params={}, distributions={}))
    written.our_tables()
    gpus = {"visible": [{"name": "NVIDIA H100"}, {"name": "NVIDIA H100"}]}
    document = {
        "python": {"version": "3.12.1"},
        "system": {"distribution": "Debian 12"},
        "gpus": gpus,
        "cpu": "failed: x",
    }
    environment = {"environment": "e" * 64, "document": json.dumps(document), "captured_at": STARTED}
    code = {
        "code": "c" * 64,
        "commit": "1234567890abcdef",
        "branch": "main",
        "is_dirty": True,
        "remote": "git.example/a.git",
    }
    with written.engine.begin() as connection:
        connection.execute(insert(tables.environments), environment)
        connection.execute(insert(tables.code), code | {"document": "{}", "taken_at": STARTED})
    kept = {"environment": "e" * 64, "code": "c" * 64, "gpus": json.dumps(["GPU-aaaa", "GPU-bbbb"])}
    written.run("s", 0, **kept, drift=json.dumps(["model.py"]))
    text = report_on(written.url, "s").text
    assert "Python 3.12.1, Debian 12, 1 trial" in text
    assert "commit 1234567890ab of main with changes not committed, 1 trial, from git.example/a.git" in text
    assert "2 × NVIDIA H100 (1 trial)" in text
    assert "sweeper reproduce s/0" in text
    assert "files that changed while the sweep ran: model.py" in text
    assert "Rows carry the node and the GPU. Idle GPUs cost" in text


def test_every_attempt_is_on_the_timeline(written: Written) -> None:
    """A trial whose first attempt was lost, and one that still runs: nothing of it is idle time."""
    study = written.study("s")
    study.add_trial(create_trial(value=1.0, params={}, distributions={}))
    study.add_trial(create_trial(state=TrialState.RUNNING))
    written.our_tables()
    for attempt, state in enumerate(("FAIL", "COMPLETE")):
        start = NOW - 100 + 50 * attempt
        written.run("s", 0, attempt=attempt, state=state, started_at=start, ended_at=start + 50)
    written.run("s", 1, state="RUNNING", node="node-b", started_at=NOW - 100, ended_at=None)
    text = report_on(written.url, "s").text
    assert "Up to 2 trials at once; slots stood idle 0% of the time (0 s)" in text


@pytest.mark.slow
def test_several_objectives_each_have_their_figures(written: Written) -> None:
    study = written.study("s", ("maximize", "minimize"), ("acc", "size"))
    optimize(study, lambda trial: (trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)), n_trials=20)
    page = report_on(written.url, "s")
    assert {"#importance-0", "#importance-1"} < set(titles(page))
    assert "What mattered for size" in page.text and "Pareto front" in page.text


@pytest.mark.parametrize(
    "states", [[], [TrialState.FAIL] * 3, [TrialState.RUNNING], [TrialState.PRUNED], [TrialState.COMPLETE]]
)
def test_next_to_nothing_is_no_error(written: Written, states: list[TrialState]) -> None:
    study = written.study("s")
    for state in states:
        study.add_trial(create_trial(state=state, value=1.0 if state is TrialState.COMPLETE else None))
    page = report_on(written.url, "s")
    assert "#best-trials" in titles(page) and "#what-was-swept" in titles(page)
    assert ("No trial has completed yet." in page.text) == (TrialState.COMPLETE not in states)


@pytest.mark.slow
def test_whatever_is_on_record_is_shown_as_text(written: Written) -> None:
    hostile_study(written)
    page = report_on(written.url, HOSTILE)
    assert not page.open_tags and not page.all("script")
    assert "<script>alert(1)</script>\"'&{{7*7}}" in page.text and "49" not in page.text.split("\n")[0]
    assert "\x1b" not in page.html and "\u202e" not in page.html


def hostile_study(written: Written) -> None:
    """A study whose every name and text wishes the reader ill."""
    study = written.study(HOSTILE, ("maximize",), (HOSTILE,))
    written.our_tables()
    sweep = written.sweep(HOSTILE, command=HOSTILE, user=HOSTILE[:200], host=HOSTILE[:200], outcome="</dl>")
    for number in range(12):
        x = (number * 7 % 12) / 12
        params, space = {HOSTILE[:500]: x}, {HOSTILE[:500]: FloatDistribution(0, 1)}
        study.add_trial(create_trial(value=x, params=params, distributions=space, intermediate_values={0: 0.0, 1: x}))
        written.run(
            HOSTILE,
            number,
            sweep=sweep,
            node=HOSTILE[:200],
            curves={HOSTILE[:500]: [0.0, x]},
            config=json.dumps({HOSTILE: HOSTILE}),
            overrides=json.dumps([HOSTILE]),
        )
    study.add_trial(create_trial(state=TrialState.FAIL))
    written.run(HOSTILE, 12, state="FAIL", failure="error", error=HOSTILE, sweep=sweep)


def test_an_unknown_study_is_answered_with_its_neighbours(written: Written) -> None:
    written.study("digits")
    with pytest.raises(NotFound, match="did you mean 'digits'"):
        report_on(written.url, "digit")


def test_what_test_data_gave_stands_apart_with_how_often_it_was_looked_at(written: Written) -> None:
    study = written.study("s", ("maximize",))
    written.our_tables()
    for number, value in enumerate((0.5, 0.9)):
        study.add_trial(create_trial(value=value, params={}, distributions={}))
        run = written.run("s", number)
        with written.engine.begin() as connection:
            run_id = connection.execute(select(tables.runs.c.id).where(tables.runs.c.run == run)).scalar_one()
            look = {"run_id": run_id, "name": "acc", "value": value - 0.1, "seq": 1, "time": STARTED}
            connection.execute(insert(tables.test_metrics), look)
    said = "On test data, trial 1 gave acc 0.8 (2 looks by 2 trials; choosing among them makes them selecting metrics)."
    assert said in report_on(written.url, "s").text
