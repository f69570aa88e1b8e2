"""No question about one study or one run reads a table whole, with SQLite's statistics or without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
from sqlalchemy import event, insert

from sweeper.history import History
from sweeper.history.leaderboard import Ask, Order
from sweeper.history.query import field, parse
from sweeper.history.schema import trial_params, trial_values, trials
from sweeper.history.survey import Survey
from sweeper.record import tables
from tests.history.database import Written, sqlite_url

Reader = TypeVar("Reader", History, Survey)
_LARGE = ("trials", "trial_values", "trial_params", "trial_user_attributes", "sweeper_runs", "sweeper_metrics", "m")

QUESTIONS: dict[str, Callable[[History], object]] = {
    "best": lambda history: history.best("s1", 10),
    "study": lambda history: history.study("s1"),
    "newest trials": lambda history: history.trials("s1", newest=10),
    "trials in a state": lambda history: history.trials("s1", states=["RUNNING"]),
    "trial": lambda history: history.trial("s1", 7),
    "failures": lambda history: history.failures("s1"),
    "space": lambda history: history.space("s1"),
    "run": lambda history: history.run(f"{7:032}"),
    "curves": lambda history: history.curves(f"{7:032}"),
    "last metrics": lambda history: history.last_metrics(f"{7:032}"),
    "last values": lambda history: history.last_values("s1", "loss"),
    "finished": lambda history: history.finished("s1"),
}


VIEWS: dict[str, Callable[[Survey], object]] = {
    "page": lambda survey: survey.page("s1", Ask()),
    "page by a metric": lambda survey: survey.page("s1", Ask(order=Order(field("metrics.loss")))),
    "page by a parameter": lambda survey: survey.page("s1", Ask(parse("value > 0.5"), Order(field("params.x")))),
    "points": lambda survey: survey.points("s1"),
    "some trials": lambda survey: survey.finished("s1", [1, 2, 3]),
    "curves of some": lambda survey: survey.curves("s1", [1, 2, 3], "loss", 5),
    "names of metrics": lambda survey: survey.metric_names("s1"),
    "spans": lambda survey: survey.spans("s1"),
}


@pytest.fixture(scope="module", params=["no statistics", "statistics"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    """Five studies of 200 trials with a run, two params and ten points each; to be read only."""
    written = Written(sqlite_url(tmp_path_factory.mktemp("plans")))
    written.our_tables()
    for name in range(5):
        written.study(f"s{name}", ("minimize",))
    ids = range(1, 1001)
    with written.engine.begin() as connection:
        of = [{"trial_id": i, "study_id": 1 + i % 5, "number": i // 5, "state": "COMPLETE"} for i in ids]
        connection.execute(insert(trials), of)
        values = [{"trial_id": i, "objective": 0, "value": i / 7 % 1, "value_type": "FINITE"} for i in ids]
        connection.execute(insert(trial_values), values)
        text = '{"name": "FloatDistribution", "attributes": {"low": 0, "high": 1, "log": false, "step": null}}'
        param = {"param_value": 0.5, "distribution_json": text}
        connection.execute(
            insert(trial_params), [{"trial_id": i, "param_name": name, **param} for i in ids for name in "xy"]
        )
        connection.execute(insert(tables.runs), [run_of(i) for i in ids])
        point = {"name": "loss", "value": 1.0, "time": 0.0, "seq": 0}
        connection.execute(insert(tables.metrics), [{"run_id": i, "step": k, **point} for i in ids for k in range(10)])
        if request.param == "statistics":
            connection.exec_driver_sql("ANALYZE")
    yield written
    written.close()


def run_of(trial_id: int) -> dict[str, Any]:
    place = {"id": trial_id, "run": f"{trial_id:032}", "study": f"s{trial_id % 5}", "number": trial_id // 5}
    texts = {"sweep": "0" * 32, "config": "{}", "overrides": "[]", "folder": "/"}
    return place | texts | {"attempt": 0, "state": "COMPLETE", "created_at": 0.0}


def scans(history: Reader, ask: Callable[[Reader], object]) -> list[str]:
    """The steps of the plans of all that `ask` reads that go through a whole large table."""
    asked: list[tuple[str, Any]] = []
    event.listen(history._engine, "before_cursor_execute", lambda *given: asked.append((given[2], given[3])))
    ask(history)
    found = []
    with history._engine.connect() as connection:
        for statement, parameters in list(asked):
            if statement.startswith(("SELECT", "WITH")):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
                found += [row[3] for row in plan if row[3].startswith("SCAN") and row[3].split()[1] in _LARGE]
    return found


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_large_table_is_read_whole(filled: Written, question: str) -> None:
    assert scans(History(filled.url), QUESTIONS[question]) == []


@pytest.mark.parametrize("view", VIEWS)
def test_no_view_reads_a_large_table_whole(filled: Written, view: str) -> None:
    assert scans(Survey(filled.url), VIEWS[view]) == []


def test_a_table_that_is_read_whole_would_be_seen(filled: Written) -> None:
    assert scans(History(filled.url), lambda history: history.studies()) != []
