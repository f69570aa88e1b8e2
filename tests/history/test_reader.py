from __future__ import annotations

import math
import subprocess
import sys

import optuna
import pytest
from optuna.trial import TrialState

from sweeper.errors import NotFound
from sweeper.history import History, SpanRow, TrialName
from tests.history.database import DISTRIBUTIONS, STARTED, Written, add


@pytest.fixture(scope="module")
def history(written_digits: Written) -> History:
    return History(written_digits.url)


def test_a_study_at_a_glance(history: History) -> None:
    (study,) = history.studies()
    assert study == history.study("digits")
    assert (study.name, study.directions, study.metric_names) == ("digits", ("maximize",), ("val/accuracy",))
    assert study.counts == {"COMPLETE": 6, "PRUNED": 1, "FAIL": 2, "RUNNING": 1, "WAITING": 0}
    assert (study.total, study.finished, study.sweeps) == (10, 9, 1)
    assert (study.best_number, study.best_value) == (5, pytest.approx(0.95))
    assert study.started_at == STARTED
    assert study.last_activity_at is not None and study.last_activity_at > STARTED + 60


def test_failures_count_a_trial_once_by_its_last_run(history: History) -> None:
    assert history.failures("digits") == {"error": 1, "oom": 1}


def test_the_space_and_the_launches(history: History) -> None:
    space = history.space("digits")
    assert list(space) == list(DISTRIBUTIONS)
    assert space["model.depth"]["attributes"] == {"log": False, "step": 1, "low": 1, "high": 8}
    (sweep,) = history.sweeps("digits")
    assert (sweep.user, sweep.outcome, sweep.space) == (
        "ada",
        "finished",
        {"optimizer.lr": "tag(log, interval(1e-5, 1e-1))"},
    )


def test_every_attempt_has_its_span(history: History) -> None:
    spans = history.spans("digits")
    assert [(span.number, span.attempt) for span in spans][6:9] == [(6, 0), (7, 0), (7, 1)]
    assert spans[0] == SpanRow(0, 0, "COMPLETE", "node-a", (), STARTED + 1, STARTED + 10)
    assert (spans[-1].number, spans[-1].state, spans[-1].ended_at) == (9, "RUNNING", None)


def test_best_is_ordered_and_carries_the_last_metrics_of_the_last_run(history: History) -> None:
    best = history.best("digits", 3)
    assert [row.number for row in best] == [5, 4, 3]
    assert best[0].params == {"optimizer.lr": 0.01, "model.depth": 3, "model.act": None}
    assert best[0].metrics == {"loss": 0.5, "val/accuracy": 0.9 + 5 / 100}
    (run,) = history.runs("digits", 5)
    assert best[0].run == run.run


def test_trials_by_state_and_the_newest(history: History) -> None:
    assert [trial.number for trial in history.trials("digits")] == list(range(10))
    assert [trial.number for trial in history.trials("digits", newest=2)] == [8, 9]
    failed = history.trials("digits", states=("FAIL",))
    assert [(trial.number, trial.failure, trial.values) for trial in failed] == [
        (7, "error", None),
        (8, "oom", None),
    ]
    assert [trial.number for trial in history.trials("digits", states=("FAIL", "PRUNED"), newest=2)] == [7, 8]


def test_everything_about_one_trial(history: History) -> None:
    trial = history.trial("digits", 6)
    assert trial.state == "PRUNED"
    assert trial.user_attrs == {"note": "by hand"}
    assert trial.intermediate_values[1] == math.inf and math.isnan(trial.intermediate_values[2])
    trial = history.trial("digits", 7)
    assert [run.attempt for run in trial.runs] == [0, 1]
    assert trial.failure == trial.runs[-1].failure == "error"
    assert trial.runs[-1].config == {"optimizer": {"lr": 0.1}, "seed": 7}
    assert trial.runs[-1].overrides == ("optimizer.lr=0.1",)


def test_curves_keep_gaps_and_the_last_point_wins(history: History) -> None:
    (run,) = history.runs("digits", 6)
    assert history.run(run.run) == run
    (curve,) = history.curves(run.run).values()
    assert curve.steps == (0, 1) and curve.times == (STARTED, STARTED + 1)
    assert curve.values[0] == 1.0 and math.isnan(curve.values[1])
    assert math.isnan(history.last_metrics(run.run)["loss"])
    last = history.last_values("digits", "loss")
    assert {number: last[number] for number in range(6)} == pytest.approx({n: 0.1 * n for n in range(6)})


def test_finished_trials_equal_optunas(history: History, written_digits: Written) -> None:
    study = optuna.load_study(study_name="digits", storage=written_digits.storage)
    states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    theirs = study.get_trials(states=states)
    ours = history.finished("digits")
    for trial in (*theirs, *ours):  # NaN equals nothing, not even itself
        trial.intermediate_values = {step: str(value) for step, value in trial.intermediate_values.items()}
    assert ours == theirs


def test_a_database_that_optuna_wrote_alone(written: Written) -> None:
    add(written.study("theirs", ("minimize",)), 2.0)
    history = History(written.url)
    (study,) = history.studies()
    assert (study.sweeps, study.best_value, study.objectives) == (0, 2.0, ("value",))
    (best,) = history.best("theirs")
    assert (best.metrics, best.run) == ({}, None)
    assert history.trial("theirs", 0).runs == () and history.trials("theirs")[0].failure is None
    assert history.sweeps("theirs") == [] and history.failures("theirs") == {}
    assert history.curves("f" * 32) == {} and history.last_metrics("f" * 32) == {}


def test_a_metric_of_an_earlier_attempt_is_not_the_trials(written: Written) -> None:
    add(written.study("s"), 1.0)
    written.our_tables()
    written.run("s", 0, attempt=0, state="FAIL", curves={"loss": [9.0], "old": [1.0]})
    written.run("s", 0, attempt=1, curves={"loss": [0.25]})
    history = History(written.url)
    assert history.best("s")[0].metrics == {"loss": 0.25}
    assert history.last_values("s", "loss") == {0: 0.25}
    with pytest.raises(NotFound, match="it has loss"):
        history.last_values("s", "old")


def test_many_metrics_and_runs_keep_apart(written: Written) -> None:
    study = written.study("s")
    written.our_tables()
    for number in range(4):
        add(study, float(number))
        written.run("s", number, curves={f"m{i:02d}": [0.0] * i + [float(i + number)] for i in range(30)})
    for row in History(written.url).best("s"):
        assert row.metrics == {f"m{i:02d}": float(i + row.number) for i in range(30)}


def test_what_is_missing_is_said_with_what_is_near(history: History) -> None:
    with pytest.raises(NotFound, match=r"no study 'digit' in .*did you mean 'digits'\? type `sweeper ls`"):
        history.study("digit")
    with pytest.raises(NotFound, match=r"no trial 10 in 'digits': its trials are 0 to 9"):
        history.trial("digits", 10)
    with pytest.raises(NotFound, match=r"no run 'cafe'"):
        history.run("cafe")
    with pytest.raises(NotFound, match=r"no metric 'acc' in 'digits': it has loss, val/accuracy"):
        history.last_values("digits", "acc")


def test_an_empty_database_and_an_empty_study(written: Written) -> None:
    assert History(written.url).studies() == []
    with pytest.raises(NotFound, match="nor any other yet"):
        History(written.url).study("digits")
    written.study("digits")
    history = History(written.url)
    assert history.best("digits") == [] and history.trials("digits") == [] and history.finished("digits") == []
    with pytest.raises(NotFound, match="which has no trial yet"):
        history.trial("digits", 0)


def test_a_name_means_the_study_of_that_name_first(written: Written) -> None:
    written.study("a/1")
    written.study("a")
    history = History(written.url)
    assert history.resolve("a/1") == "a/1"
    assert history.resolve("a/2") == TrialName("a", 2)
    assert history.resolve("b") == "b"


def test_a_database_of_an_older_release_may_lack_columns_that_nobody_reads(written: Written) -> None:
    add(written.study("s"), 1.0)
    written.our_tables()
    with written.engine.begin() as writer:
        writer.exec_driver_sql("ALTER TABLE sweeper_runs DROP COLUMN ended_seq")
    assert History(written.url).trial("s", 0).runs == ()


def test_listing_studies_loads_no_optuna_and_no_migrations(written: Written) -> None:
    add(written.study("s"), 1.0)
    script = (
        "import sys; from sweeper.history import History; History(sys.argv[1]).studies();"
        "print(sorted({'optuna', 'alembic', 'numpy', 'psycopg'} & sys.modules.keys()))"
    )
    found = subprocess.run([sys.executable, "-c", script, written.url], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
