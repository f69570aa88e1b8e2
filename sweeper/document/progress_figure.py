"""The optimisation over its trials: what each gave, and the best so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeper import text
from sweeper.document.ink import BLUE, GREY, INK, LONGEST_NAME, ORANGE, WIDTH, headline, labelled, short, style
from sweeper.history.question import Question

HEIGHT = 3.4
FAR = 3.0  # interquartile ranges beyond the worse quartile, from where a value would flatten all others
MANY = 2000  # points from which they are drawn as pixels

Points = NDArray[np.float64]  # (points, 2): trial number, value


def draw_progress(trials: Sequence[FrozenTrial], what: Question) -> Figure:
    """A point for each trial with a value, a step line for the best so far, crosses where trials were pruned."""
    complete = _points(trials, TrialState.COMPLETE, what)
    pruned = _points(trials, TrialState.PRUNED, what)
    sign = -1 if what.direction == StudyDirection.MAXIMIZE else 1
    with style():
        figure = Figure(figsize=(WIDTH, HEIGHT))
        axes = figure.add_subplot()
        _limit(axes, np.concatenate((complete, pruned))[:, 1], sign)
        _scatter(axes, pruned, sign, color=GREY, marker="x", s=16, lw=0.9, label="pruned, its last value")
        _scatter(axes, complete, sign, color=BLUE, marker="o", s=16, label="complete")
        _failed(axes, [trial.number for trial in trials if trial.state == TrialState.FAIL])
        if len(complete) and what.direction is not None:
            _best_so_far(axes, complete, sign)
        axes.set(xlabel="trial", ylabel=labelled(short(what.name, LONGEST_NAME), what.direction))
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.grid(axis="y", color="#E6E6E6", lw=0.8)
        axes.set_axisbelow(True)
        if axes.get_legend_handles_labels()[0]:
            figure.legend(loc="outside lower right", ncols=5, frameon=False, fontsize=8.5)
        headline(figure, gist(trials, what))
    return figure


def gist(trials: Sequence[FrozenTrial], what: Question) -> str:
    """What the figure says, in one line."""
    return told(_points(trials, TrialState.COMPLETE, what), [trial.number for trial in trials], what)


def told(complete: Points, numbers: Sequence[int], what: Question) -> str:
    """The same of the values of complete trials, and the numbers of all that have ended."""
    if not len(complete) or what.direction is None:
        return f"{text.count(len(complete), 'value')} of {short(what.name, LONGEST_NAME)}"
    sign = -1 if what.direction == StudyDirection.MAXIMIZE else 1
    best = complete[np.argmin(sign * complete[:, 1])]
    since = sum(number > best[0] for number in numbers)
    after = f"; {text.count(since, 'trial')} since brought nothing better" if since else ""
    return f"Best {short(what.name, LONGEST_NAME)} {text.number(best[1])} in trial {best[0]:.0f}{after}"


def _points(trials: Sequence[FrozenTrial], state: TrialState, what: Question) -> Points:
    """What trials of this state gave; a pruned trial its last report."""
    found = []
    for trial in trials:
        if trial.state != state:
            continue
        value = what.target(trial)
        if state == TrialState.PRUNED:
            value = trial.intermediate_values[trial.last_step] if trial.last_step is not None else None
        if value is not None and np.isfinite(value):
            found.append((trial.number, value))
    return np.array(found, dtype=np.float64).reshape(-1, 2)


def _limit(axes: Axes, values: NDArray[np.float64], sign: int) -> None:
    """Room for all values, unless a few are so bad that the good ones could not be told apart."""
    if not len(values):
        return
    losses = sign * values
    lower, upper = np.quantile(losses, (0.25, 0.75))
    worst = min(float(losses.max()), float(upper + FAR * (upper - lower))) if len(losses) > 3 else float(losses.max())
    best = float(losses.min())
    margin = 0.06 * (worst - best) or 0.06 * abs(best) or 1.0
    ends = sign * (best - margin), sign * (worst + margin)
    axes.set_ylim(min(ends), max(ends))


def _scatter(axes: Axes, points: Points, sign: int, *, label: str, **look: Any) -> None:
    """Points in their place; those off the scale as arrows at its edge."""
    if not len(points):
        return
    edge = axes.get_ylim()[0 if sign < 0 else 1]
    off = sign * points[:, 1] > sign * edge
    is_pixels = len(points) > MANY
    axes.scatter(*points[~off].T, label=label, alpha=0.8, rasterized=is_pixels, **look)
    if off.any():
        arrow = look | {"marker": "v" if sign < 0 else "^", "lw": 0, "clip_on": False}
        label = f"{label.split(',')[0]}, off the scale"
        axes.scatter(points[off, 0], np.full(int(off.sum()), edge), label=label, rasterized=is_pixels, **arrow)


def _failed(axes: Axes, numbers: Sequence[int]) -> None:
    """A mark on the axis for each trial that failed."""
    if numbers:
        on_axis = axes.get_xaxis_transform()
        look: dict[str, Any] = {"color": ORANGE, "marker": "|", "s": 60, "clip_on": False, "label": "failed"}
        axes.scatter(numbers, np.zeros(len(numbers)), transform=on_axis, **look)


def _best_so_far(axes: Axes, complete: Points, sign: int) -> None:
    numbers, losses = complete[:, 0], sign * complete[:, 1]
    best = sign * np.minimum.accumulate(losses)
    axes.step(numbers, best, where="post", color=INK, lw=1.4, label="best so far")
    place = int(np.argmin(losses))
    axes.plot(numbers[place], complete[place, 1], marker="D", ms=7, color=ORANGE, mec="white", mew=0.9, zorder=5)
