"""Parallel coordinates: a line for each trial through its parameters to what it gave, the best on top."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeper import text
from sweeper.document.ink import INK, LONGEST_TITLE, WIDTH, headline, plain, short, style
from sweeper.history.question import Question

HEIGHT = 4.2
MOST_AXES = 8
MOST_LINES = 300  # the best of them, when there are more
BEST = 10  # lines drawn on top
MOST_LABELS = 8  # choices that are named along an axis
FAN = 0.06  # of the distance between choices, to both sides
ABSENT = -0.12  # where a line passes a parameter that its trial does not have

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ruler:
    """One axis: where values lie on it, from 0 to 1, and what is written beside it."""

    title: str
    places: Floats  # (trials,); NaN where a trial has no value
    ticks: Sequence[tuple[float, str]]


@dataclass(frozen=True)
class Lines:
    """A line for each trial through its places on the rulers."""

    numbers: Sequence[int]  # of the trials
    rulers: Sequence[Ruler]
    ranks: NDArray[np.int64]  # (trials,); 0 is the best


def draw_parallel(trials: Sequence[FrozenTrial], what: Question, order: Sequence[str]) -> Figure | None:
    """Lines over the parameters of `order`; None where fewer than two trials have a value, or none a parameter."""
    drawn = lines(trials, what, order)
    if drawn is None:
        return None
    with style():
        figure = Figure(figsize=(WIDTH, HEIGHT))
        axes = figure.add_subplot()
        _lines(figure, axes, drawn)
        _draw_rulers(axes, drawn.rulers)
        headline(figure, gist(len(drawn.numbers), sum(trial.state == TrialState.COMPLETE for trial in trials)))
    return figure


def lines(trials: Sequence[FrozenTrial], what: Question, order: Sequence[str]) -> Lines | None:
    """What is drawn; None where fewer than two trials have a value, or none a parameter."""
    kept = _kept(trials, what)
    names = [name for name in order if any(name in trial.params for trial in kept)][:MOST_AXES]
    if len(kept) < 2 or not names:
        return None
    values = np.array([what.target(trial) for trial in kept], dtype=np.float64)
    rulers = [*(_parameter(name, kept) for name in names), _numbers(what.name, values.tolist(), is_log=False)]
    sign = -1 if what.direction == StudyDirection.MAXIMIZE else 1
    ranks = np.argsort(np.argsort(sign * values, kind="stable"), kind="stable")
    return Lines([trial.number for trial in kept], rulers, ranks)


def gist(drawn: int, complete: int) -> str:
    """What the figure says, in one line."""
    which = text.count(drawn, "trial") if drawn == complete else f"The best {drawn} of {complete} trials"
    return f"{which}, each a line through its parameters; the best {min(BEST, drawn)} are drawn strong"


def _kept(trials: Sequence[FrozenTrial], what: Question) -> list[FrozenTrial]:
    """Completed trials with a finite value, the best first."""
    found = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    valued = [(value, trial) for trial in found if (value := what.target(trial)) is not None and math.isfinite(value)]
    sign = -1 if what.direction == StudyDirection.MAXIMIZE else 1
    return [trial for _, trial in sorted(valued, key=lambda pair: sign * pair[0])][:MOST_LINES]


def _parameter(name: str, trials: Sequence[FrozenTrial]) -> Ruler:
    given = {i: trial.params[name] for i, trial in enumerate(trials) if name in trial.params}
    distributions = [trials[i].distributions[name] for i in given]
    if all(isinstance(d, FloatDistribution | IntDistribution) for d in distributions):
        found = _numbers(name, list(given.values()), is_log=_is_log(distributions))
    else:
        found = _choices(name, distributions, list(given.values()))
    places = np.full(len(trials), np.nan)
    places[list(given)] = found.places
    ticks = found.ticks if len(given) == len(trials) else [(ABSENT, "not active"), *found.ticks]
    return Ruler(found.title, places, ticks)


def _is_log(distributions: Sequence[BaseDistribution]) -> bool:
    return all(isinstance(d, FloatDistribution | IntDistribution) and d.log for d in distributions)


def _numbers(name: str, values: Sequence[Any], *, is_log: bool) -> Ruler:
    numbers = np.asarray(values, dtype=np.float64)
    shown = np.log(numbers) if is_log else numbers
    low, high = float(shown.min()), float(shown.max())
    span = high - low
    places = (shown - low) / span if span > 0 else np.full(len(shown), 0.5)
    marks = [0.0, 0.5, 1.0] if span > 0 else [0.5]
    at = [low + mark * span for mark in marks]
    labels = [text.number(math.exp(place) if is_log else place, 3) for place in at]
    return Ruler(name, places, list(zip(marks, labels, strict=True)))


def _choices(name: str, distributions: Sequence[BaseDistribution], values: Sequence[Any]) -> Ruler:
    """Choices in the order in which they were given; lines fan out a little, so that they do not hide each other."""
    known: Mapping[str, None] = dict.fromkeys(
        text.value(choice) for d in distributions if isinstance(d, CategoricalDistribution) for choice in d.choices
    )
    words = [text.value(value) for value in values]
    order = list(dict.fromkeys([*known, *words]))
    step = 1 / max(len(order) - 1, 1)
    fan = FAN * np.linspace(-1, 1, len(words)) * step if len(words) > 1 else np.zeros(1)
    middle = 0.5 if len(order) == 1 else 0.0
    places = np.array([middle + order.index(word) * step for word in words]) + fan
    named = order if len(order) <= MOST_LABELS else []
    return Ruler(name, places, [(middle + i * step, _word(word)) for i, word in enumerate(named)])


def _word(word: str) -> str:
    return plain(text.shorten(word, 16))


def _lines(figure: Figure, axes: Axes, drawn: Lines) -> None:
    """All lines, the worst first; coloured by rank, so that one wild value does not take all the colours."""
    ranks = drawn.ranks
    goodness = 1 - ranks / max(len(ranks) - 1, 1)
    table = np.stack([np.nan_to_num(ruler.places, nan=ABSENT) for ruler in drawn.rulers], axis=1)
    across = np.arange(len(drawn.rulers))
    order = np.argsort(goodness, kind="stable")
    segments = [np.column_stack((across, table[i])) for i in order]
    is_best = ranks[order] < BEST
    collection = LineCollection(
        segments,
        array=goodness[order],
        cmap="viridis_r",
        norm=Normalize(0, 1),
        linewidths=np.where(is_best, 1.8, 0.7).tolist(),
        alpha=np.where(is_best, 1.0, 0.35).tolist(),
    )
    axes.add_collection(collection)
    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), "viridis_r"), ax=axes, ticks=[0, 1], pad=0.06, fraction=0.03)
    bar.ax.set_yticklabels(["worst", "best"])


def _draw_rulers(axes: Axes, rulers: Sequence[Ruler]) -> None:
    axes.set(xlim=(-0.15, len(rulers) - 0.7), ylim=(-0.18, 1.08), yticks=[])
    axes.set_xticks(range(len(rulers)), [short(ruler.title, LONGEST_TITLE) for ruler in rulers])
    if len(rulers) > 6:
        axes.tick_params(axis="x", rotation=20)
    axes.tick_params(axis="x", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for x, ruler in enumerate(rulers):
        axes.plot([x, x], [0, 1], color=INK, lw=0.9, zorder=4)
        for y, label in ruler.ticks:
            box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8}
            axes.text(x + 0.03, y, label, fontsize=8, va="center", zorder=5, bbox=box)
