"""Pages of trials: any order, any filter, the same rows as a whole read gives; curves thinned, nothing read whole."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.errors import NotFound, QueryError
from sweeper.history import History
from sweeper.history.leaderboard import Ask, Order
from sweeper.history.query import field, parse
from sweeper.history.survey import Survey
from tests.history.database import Written, add


def numbers(survey: Survey, study: str = "digits", **asked: Any) -> list[int]:
    return [line.number for line in survey.page(study, Ask(**asked)).lines]


@pytest.mark.parametrize(
    "name",
    [
        *("number", "state", "value", "values.val/accuracy", "params.optimizer.lr", "params.model.act"),
        *("metrics.loss", "runtime_s", "seed", "node", "failure", "error", "attempt", "peak_rss_bytes"),
    ],
)
def test_each_field_sorts_both_ways_with_nothing_last(written_digits: Written, name: str) -> None:
    survey = Survey(written_digits.url)
    found = [
        survey.page("digits", Ask(order=Order(field(name), down), fields=(field(name),))).lines
        for down in (False, True)
    ]
    up, down = ([line.of(field(name), ("val/accuracy",)) for line in lines] for lines in found)
    assert sorted(line.number for line in found[0]) == sorted(line.number for line in found[1]) == list(range(10))
    assert up.count(None) == down.count(None) and set(up[len(up) - up.count(None) :]) <= {None}
    known = [value for value in up if value is not None and value == value]
    if name not in ("state", "params.model.act"):  # these have an order of their own
        assert known == sorted(known) and [v for v in down if v is not None and v == v] == known[::-1]


def test_the_best_first_by_default(written_digits: Written) -> None:
    assert numbers(Survey(written_digits.url)) == [5, 4, 3, 2, 1, 0, 6, 7, 8, 9]


def test_a_page_is_a_part_of_the_whole(written_digits: Written) -> None:
    survey = Survey(written_digits.url)
    page = survey.page("digits", Ask(order=Order(field("number")), offset=4, limit=3))
    assert ([line.number for line in page.lines], page.total, page.offset) == ([4, 5, 6], 10, 4)
    assert numbers(survey, offset=99) == []


def test_a_filter_counts_what_it_lets_through(written_digits: Written) -> None:
    page = Survey(written_digits.url).page("digits", Ask(parse("state = fail or metrics.loss < 0.15"), limit=2))
    assert (len(page.lines), page.total) == (2, 4)


def test_a_line_says_what_a_whole_read_says(written_digits: Written) -> None:
    survey, history = Survey(written_digits.url), History(written_digits.url)
    fields = tuple(map(field, ("metrics.loss", "seed", "error", "attempt")))
    for line in survey.page("digits", Ask(fields=fields)).lines:
        trial = history.trial("digits", line.number)
        run = trial.runs[-1]
        assert (line.state, line.values, line.params, line.failure) == (
            trial.state,
            trial.values,
            trial.params,
            trial.failure,
        )
        assert (line.run, line.of(field("seed"), ()), line.of(field("error"), ())) == (run.run, run.seed, run.error)
        assert (line.started_at, line.of(field("attempt"), ())) == (trial.started_at, run.attempt)


def test_what_is_no_field_is_refused(written_digits: Written) -> None:
    with pytest.raises(QueryError, match="did you mean number"):
        field("numbr")
    with pytest.raises(QueryError, match="cannot be sorted by env"):
        numbers(Survey(written_digits.url), order=Order(field("env.python")))
    with pytest.raises(NotFound):
        numbers(Survey(written_digits.url), "digit")


def test_infinities_are_the_ends(written: Written) -> None:
    study = written.study("s", ("minimize",))
    for value in (1.0, math.inf, -math.inf, 0.5):
        add(study, value)
    survey = Survey(written.url)
    assert numbers(survey, "s") == [2, 3, 0, 1]
    assert numbers(survey, "s", order=Order(field("value"), is_descending=True)) == [1, 0, 3, 2]


def test_points_of_every_trial(written_digits: Written) -> None:
    found = Survey(written_digits.url).points("digits")
    assert [point.number for point in found] == list(range(10))
    assert found[5].value == 0.9500000000000001 and found[9].value is None


def test_some_trials_as_optuna_has_them(written_digits: Written) -> None:
    survey, history = Survey(written_digits.url), History(written_digits.url)
    assert survey.finished("digits", [2, 7, 9, 44]) == [history.finished("digits")[i] for i in (2, 7)]
    assert survey.finished("digits", []) == []


@pytest.fixture(scope="module")
def curve(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with a curve of 1000 points; its URL."""
    written = Written(f"sqlite:///{tmp_path_factory.mktemp('curve')}/sweeper.db")
    add(written.study("s"), 1.0)
    written.our_tables()
    written.run("s", 0, curves={"loss": [1 / (1 + i) for i in range(1000)], "other": [math.nan]})
    written.close()
    return written.url


@pytest.mark.slow
@given(st.integers(2, 1200))
def test_a_thinned_curve_keeps_its_ends(curve: str, most: int) -> None:
    (found,) = Survey(curve).curves("s", [0, 7], "loss", most).values()
    assert len(found.steps) <= most + 1
    assert (found.steps[0], found.steps[-1]) == (0, 999)
    assert list(found.values) == [1 / (1 + step) for step in found.steps]


def test_every_metric_of_a_run_thinned(curve: str) -> None:
    survey = Survey(curve)
    run = History(curve).trial("s", 0).runs[0].run
    found = survey.thinned(run, 10)
    assert list(found) == ["loss", "other"] and math.isnan(found["other"].values[0])
    assert survey.thinned("no run", 10) == {} and survey.metric_names("s") == ["loss", "other"]


def test_spans_of_ours_and_of_others(written: Written) -> None:
    study = written.study("s")
    add(study, 1.0)
    add(study, 2.0)
    assert [span.node for span in Survey(written.url).spans("s")] == ["trials", "trials"]
    written.our_tables()
    written.run("s", 1)
    assert [(span.number, span.node) for span in Survey(written.url).spans("s")] == [(1, "node-a"), (0, "trials")]
