"""Curves beside each other."""

from __future__ import annotations

import math

from sweeper.compare.curve import metric_rows
from sweeper.history import Curve


def curve(*values: float, first: int = 0) -> Curve:
    steps = tuple(range(first, first + len(values)))
    return Curve(steps, values, tuple(float(step) for step in steps))


def test_the_first_step_at_which_curves_part() -> None:
    (row,) = metric_rows([{"acc": curve(0.1, 0.2, 0.3)}, {"acc": curve(0.1, 0.25, 0.3)}], {})
    assert (row.parts_at, row.last, row.best) == (1, (0.3, 0.3), (0.3, 0.3))
    assert math.isclose(row.gap or 0, 0.05)


def test_curves_that_never_part() -> None:
    (row,) = metric_rows([{"acc": curve(0.1, math.nan)}, {"acc": curve(0.1, math.nan, 0.3)}], {})
    assert (row.parts_at, row.gap) == (None, None)


def test_a_run_that_became_nan_parts_there() -> None:
    (row,) = metric_rows([{"acc": curve(0.1, 0.2)}, {"acc": curve(0.1, math.nan)}], {})
    assert row.parts_at == 1
    assert row.gap is not None and math.isnan(row.gap)
    assert row.last[0] == 0.2 and math.isnan(row.last[1] or 0)


def test_curves_with_no_step_in_common_do_not_part() -> None:
    (row,) = metric_rows([{"acc": curve(0.1)}, {"acc": curve(0.2, first=5)}], {})
    assert row.parts_at is None


def test_a_metric_that_one_run_lacks() -> None:
    (row,) = metric_rows([{"acc": curve(0.1)}, {}], {})
    assert (row.last, row.best, row.parts_at) == ((0.1, None), (0.1, None), None)


def test_the_best_is_the_least_of_a_loss_and_what_the_study_says_of_its_objective() -> None:
    curves = [{"val/loss": curve(3.0, 1.0, 2.0), "score": curve(3.0, 1.0, 2.0), "acc": curve(3.0, 1.0, 2.0)}]
    rows = {row.name: row.best[0] for row in metric_rows(curves, {"score": "minimize"})}
    assert rows == {"val/loss": 1.0, "score": 1.0, "acc": 3.0}


def test_what_parts_first_comes_first() -> None:
    old = {"a": curve(1.0, 1.0, 1.0), "b": curve(1.0, 1.0), "c": curve(1.0)}
    new = {"a": curve(1.0, 1.0, 2.0), "b": curve(1.0, 2.0), "c": curve(1.0)}
    assert [row.name for row in metric_rows([old, new], {})] == ["b", "a", "c"]
