from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeper.document.parallel_figure import ABSENT, MOST_LINES, draw_parallel
from sweeper.history.question import Question
from tests.document.paper import assert_on_paper, texts
from tests.importance.sweeps import Space, ended, finished

SPACE: Space = {
    "lr": FloatDistribution(1e-4, 1e-2, log=True),
    "act": CategoricalDistribution(["relu", None]),
    "k": IntDistribution(1, 9),
}
LOSS = Question("loss", lambda trial: trial.values[0] if trial.values else None, StudyDirection.MINIMIZE)


def lines(figure: Figure | None) -> list[list[float]]:
    """Where each line passes each axis, from the worst trial to the best."""
    assert figure is not None
    (drawn,) = (found for found in figure.axes[0].collections if isinstance(found, LineCollection))
    return [np.asarray(segment)[:, 1].tolist() for segment in drawn.get_segments()]


def test_lines_pass_the_values_and_the_best_is_on_top() -> None:
    trials = [
        finished({"lr": 1e-4, "act": "relu", "k": 1}, SPACE, 3.0),
        finished({"lr": 1e-2, "act": None, "k": 9}, SPACE, 1.0),
        finished({"lr": 1e-3, "act": "relu", "k": 5}, SPACE, 2.0),
    ]
    figure = draw_parallel(trials, LOSS, ["k", "lr", "act"])
    worst, middle, best = lines(figure)
    assert worst == pytest.approx([0, 0, 0, 1], abs=0.07)
    assert middle == pytest.approx([0.5, 0.5, 0, 0.5], abs=0.07)
    assert best == pytest.approx([1, 1, 1, 0], abs=0.07)
    assert figure is not None
    assert {"k", "lr", "act", "loss", "relu", "null", "0.001"} <= set(texts(figure))
    assert_on_paper(figure)


def test_a_parameter_that_is_not_active_is_passed_below() -> None:
    trials = [finished({"lr": 1e-3}, SPACE, 1.0), finished({"lr": 1e-2, "k": 3}, SPACE, 2.0)]
    figure = draw_parallel(trials, LOSS, ["lr", "k"])
    assert lines(figure)[1][1] == ABSENT
    assert figure is not None and "not active" in texts(figure)


@pytest.mark.slow
def test_of_many_trials_the_best_are_drawn() -> None:
    trials = [finished({"k": 1 + i % 9}, SPACE, float(i)) for i in range(MOST_LINES + 50)]
    figure = draw_parallel(trials, LOSS, ["k"])
    assert len(lines(figure)) == MOST_LINES
    assert figure is not None and any("The best 300 of 350 trials" in word for word in texts(figure))


@pytest.mark.parametrize(
    "trials", [[], [finished({"k": 1}, SPACE, 1.0)], [finished({}, SPACE, 1.0)] * 2, [ended(TrialState.FAIL)] * 3]
)
def test_nothing_to_draw(trials: list[FrozenTrial]) -> None:
    assert draw_parallel(trials, LOSS, ["k"]) is None
