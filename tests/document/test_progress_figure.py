from __future__ import annotations

import numpy as np
import pytest
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeper.document.progress_figure import draw_progress
from sweeper.history.question import Question
from tests.document.paper import assert_on_paper, texts

ACCURACY = Question("accuracy", lambda trial: trial.values[0] if trial.values else None, StudyDirection.MAXIMIZE)
LOSS = Question("loss", ACCURACY.target, StudyDirection.MINIMIZE)


def trial(
    number: int, value: float | None, state: TrialState = TrialState.COMPLETE, last: float | None = None
) -> FrozenTrial:
    made = create_trial(state=state, value=value, intermediate_values={0: 0.0, 3: last} if last is not None else None)
    made.number = number
    return made


@pytest.mark.parametrize(
    ("what", "best", "since"), [(ACCURACY, [0.5, 0.7, 0.7, 0.9, 0.9], 1), (LOSS, [0.5, 0.5, 0.4, 0.4, 0.4], 2)]
)
def test_the_line_is_the_best_so_far(what: Question, best: list[float], since: int) -> None:
    trials = [trial(i, value) for i, value in enumerate([0.5, 0.7, 0.4, 0.9, 0.6])]
    figure = draw_progress(trials, what)
    line, diamond = figure.axes[0].lines
    assert np.asarray(line.get_ydata()).tolist() == best
    assert np.asarray(diamond.get_xdata()).tolist() == [4 - since]
    assert f"{since} trial{'s' if since > 1 else ''} since brought nothing better" in " ".join(texts(figure))
    assert_on_paper(figure)


def test_every_fate_has_its_mark() -> None:
    trials = [
        trial(0, 0.5),
        trial(1, None, TrialState.PRUNED, last=0.3),
        trial(2, None, TrialState.FAIL),
        trial(3, None, TrialState.PRUNED),
    ]
    figure = draw_progress(trials, ACCURACY)
    places = {str(marks.get_label()): np.asarray(marks.get_offsets()).tolist() for marks in figure.axes[0].collections}
    assert places == {"complete": [[0, 0.5]], "pruned, its last value": [[1, 0.3]], "failed": [[2, 0]]}


@pytest.mark.parametrize(("what", "sign"), [(ACCURACY, 1), (LOSS, -1)])
def test_a_few_wild_values_do_not_flatten_the_others(what: Question, sign: int) -> None:
    values = [sign * (0.8 + i / 100) for i in range(20)]
    figure = draw_progress([*(trial(i, value) for i, value in enumerate(values)), trial(20, sign * -1e9)], what)
    low, high = figure.axes[0].get_ylim()
    assert high - low < 1
    assert "complete, off the scale" in texts(figure)
    assert_on_paper(figure)


@pytest.mark.parametrize("trials", [[], [trial(0, None, TrialState.FAIL)], [trial(0, 0.0)], [trial(0, float("inf"))]])
def test_next_to_nothing_can_be_drawn(trials: list[FrozenTrial]) -> None:
    assert_on_paper(draw_progress(trials, ACCURACY))
