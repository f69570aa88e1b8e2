"""Learning curves: what trials reported step by step, the best and the pruned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.trial import FrozenTrial, TrialState

from sweeper import text
from sweeper.document.best_section import REPORTED
from sweeper.document.ink import BLUE, GREY, LONGEST_TITLE, ORANGE, WIDTH, headline, labelled, short, style
from sweeper.history import Curve
from sweeper.history.question import Question

HEIGHT = 3.4
MOST_PRUNED = 60
MOST_METRICS = 6
MOST_POINTS = 400  # of a curve; a longer one is thinned


def draw_reports(trials: Sequence[FrozenTrial], best: Sequence[int], what: Question) -> Figure | None:
    """What trials reported to the pruner: the best ones on top, the pruned in grey; None where none reported."""
    reported = {trial.number: trial for trial in trials if len(trial.intermediate_values) > 1}
    top = [reported[number] for number in best if number in reported]
    pruned = [trial for trial in reported.values() if trial.state == TrialState.PRUNED]
    if not top and not pruned:
        return None
    drawn = pruned[-MOST_PRUNED:]
    with style():
        figure = Figure(figsize=(WIDTH, HEIGHT))
        axes = figure.add_subplot()
        for trial in drawn:
            steps, values = _finite(trial.intermediate_values.items())
            axes.plot(steps, values, color=GREY, lw=0.7, alpha=0.6)
            axes.plot(steps[-1:], values[-1:], "x", color=GREY, ms=4)
        for place, trial in reversed(list(enumerate(top))):
            _best_line(axes, place, trial.number, *_finite(trial.intermediate_values.items()))
        axes.set(xlabel="step", ylabel=labelled(f"{short(what.name, LONGEST_TITLE)} as reported", what.direction))
        _grid(axes)
        few = "" if len(drawn) == len(pruned) else f"the last {len(drawn)} of "
        grey = f"; grey: {few}{text.count(len(pruned), 'pruned trial')}" if pruned else ""
        headline(
            figure, f"Orange: the best trial; blue: the next {len(top) - 1}{grey}" if top else f"No best yet{grey}"
        )
    return figure


def draw_metrics(curves: Mapping[int, Mapping[str, Curve]]) -> Figure | None:
    """A panel for each metric with the curves of these trials, the best trial first; None where there are none."""
    lasting = (name for found in curves.values() for name, curve in found.items() if len(curve.steps) > 1)
    names = sorted({name for name in lasting if name != REPORTED})
    shown = names[:MOST_METRICS]
    if not shown:
        return None
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    with style():
        figure = Figure(figsize=(WIDTH, 2.3 * rows + 0.5))
        grid = np.asarray(figure.subplots(rows, columns, squeeze=False)).ravel().tolist()
        for axes, name in zip(grid, shown, strict=False):
            for place, (number, found) in reversed(list(enumerate(curves.items()))):
                if name in found:
                    _best_line(axes, place, number, *_finite(zip(found[name].steps, found[name].values, strict=True)))
            axes.set_title(short(name, LONGEST_TITLE))
            _grid(axes)
        for axes in grid[len(shown) :]:
            axes.set_visible(False)
        left_out = f"; {len(names) - len(shown)} more metrics are on record" if len(names) > len(shown) else ""
        headline(figure, f"What the best trials logged over their steps{left_out}")
    return figure


def _best_line(axes: Axes, place: int, number: int, steps: list[float], values: list[float]) -> None:
    """One curve, with the trial's number at its end; the best in orange."""
    if not steps:
        return
    axes.plot(steps, values, color=ORANGE if place == 0 else BLUE, lw=2.0 if place == 0 else 1.1, zorder=5 - place / 9)
    if place == 0:
        axes.annotate(str(number), (steps[-1], values[-1]), (4, 0), textcoords="offset points", va="center", fontsize=8)


def _finite(points: Iterable[tuple[int, float]]) -> tuple[list[float], list[float]]:
    kept = [(step, value) for step, value in sorted(points) if np.isfinite(value)]
    every = -(-len(kept) // MOST_POINTS)
    thinned = kept if every <= 1 else [*kept[::every], kept[-1]]
    return [float(step) for step, _ in thinned], [value for _, value in thinned]


def _grid(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(axis="y", color="#E6E6E6", lw=0.8)
    axes.set_axisbelow(True)
