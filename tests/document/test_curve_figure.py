from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.axes import Axes
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeper.document.curve_figure import MOST_POINTS, draw_metrics, draw_reports
from sweeper.document.ink import BLUE, GREY, ORANGE
from sweeper.history import Curve
from sweeper.history.question import Question
from tests.document.paper import assert_on_paper, texts

ACCURACY = Question("accuracy", lambda trial: trial.values[0] if trial.values else None, StudyDirection.MAXIMIZE)


def trial(number: int, state: TrialState, reports: dict[int, float]) -> FrozenTrial:
    made = create_trial(state=state, value=reports[max(reports)], intermediate_values=reports)
    made.number = number
    return made


def drawn(axes: Axes, colour: str) -> list[list[float]]:
    return [np.asarray(line.get_ydata()).tolist() for line in axes.lines if line.get_color() == colour]


def test_the_best_the_next_and_the_pruned_are_told_apart() -> None:
    trials = [
        trial(0, TrialState.COMPLETE, {0: 0.1, 1: 0.5, 2: 0.7}),
        trial(1, TrialState.COMPLETE, {0: 0.2, 1: math.nan, 2: 0.9}),
        trial(2, TrialState.PRUNED, {0: 0.0, 1: 0.1}),
        trial(3, TrialState.COMPLETE, {0: 0.1, 1: 0.3, 2: 0.4}),
    ]
    figure = draw_reports(trials, [1, 0], ACCURACY)
    assert figure is not None
    (axes,) = figure.axes
    assert drawn(axes, ORANGE) == [[0.2, 0.9]]
    assert drawn(axes, BLUE) == [[0.1, 0.5, 0.7]]
    assert drawn(axes, GREY) == [[0.0, 0.1], [0.1]]
    assert "grey: 1 pruned trial" in " ".join(texts(figure))
    assert_on_paper(figure)


@pytest.mark.slow
def test_of_many_pruned_trials_the_last_are_drawn() -> None:
    pruned = [trial(i, TrialState.PRUNED, {0: 0.0, 1: i / 2000}) for i in range(1517)]
    figure = draw_reports([*pruned, trial(1517, TrialState.COMPLETE, {0: 0.1, 1: 1.0})], [1517], ACCURACY)
    assert figure is not None
    assert len(drawn(figure.axes[0], GREY)) == 2 * 60
    assert "grey: the last 60 of 1517 pruned trials" in " ".join(texts(figure))
    assert_on_paper(figure)


def test_nothing_reported_nothing_drawn() -> None:
    assert draw_reports([trial(0, TrialState.COMPLETE, {0: 0.1})], [0], ACCURACY) is None
    assert draw_metrics({}) is None
    assert draw_metrics({3: {"loss": Curve((0,), (1.0,), (0.0,))}}) is None


def test_each_metric_has_a_panel_and_long_curves_are_thinned() -> None:
    steps = tuple(range(10 * MOST_POINTS))
    loss = Curve(steps, tuple(1 / (1 + step) for step in steps), tuple(map(float, steps)))
    figure = draw_metrics({7: {"loss": loss, "objective": loss, "$acc$": loss}, 2: {"loss": loss}})
    assert figure is not None
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    assert set(panels) == {"loss", r"\$acc\$"}
    (best,), (other,) = drawn(panels["loss"], ORANGE), drawn(panels["loss"], BLUE)
    assert best == other and len(best) <= MOST_POINTS + 1 and best[-1] == loss.values[-1]
    assert_on_paper(figure)
