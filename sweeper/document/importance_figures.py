"""Importance in ink: bars with their intervals, marginal curves, maps of pairs, and all of them on one page.

Colours are from Okabe and Ito's palette and from viridis, which keep apart for the colour-blind and in grey.
"""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations
from operator import itemgetter
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import LogFormatterSciNotation, LogLocator, MaxNLocator, NullLocator, PercentFormatter
from optuna.study import StudyDirection

from sweeper.importance import BELIEVABLE, Axis, Curve, Importance, Map, curve, joint

BLUE, PALE, ORANGE, GREY, INK = "#0072B2", "#A9C6DA", "#D55E00", "#8A8A8A", "#222222"
WIDTH = 9.0  # inches, of every figure
MOST_BARS = 20
MOST_CURVES = 6
MOST_MAPS = 3
WORTH_A_CURVE = 0.01  # the share below which a curve is flat to the eye; the first three are drawn all the same
WORTH_A_MAP = 0.005  # the share of a pair below which its map would show nothing new
LONGEST_NAME = 32  # characters, beside a bar
LONGEST_TITLE = 20  # in a title or along an axis
STYLE: dict[Any, Any] = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 160,
}


def draw_bars(importance: Importance, *, target: str) -> Figure:
    """A bar for the share of each factor, with its 90% interval, and one for what no main effect explains."""
    with _style():
        figure = Figure(figsize=(WIDTH, _bars_height(importance)))
        _bars(figure, importance, target)
    return figure


def draw_curves(
    importance: Importance, *, target: str, direction: StudyDirection | None = None, names: Sequence[str] = ()
) -> Figure:
    """The marginal curves of these factors (default: the most important), on one scale of the target."""
    with _style():
        found = _curves(importance, names)
        figure = Figure(figsize=(WIDTH, _curves_height(len(found))))
        _draw_curves(figure, importance, found, target, direction)
    return figure


def draw_maps(
    importance: Importance,
    *,
    target: str,
    direction: StudyDirection | None = None,
    pairs: Sequence[tuple[str, str]] = (),
) -> Figure:
    """The joint marginals of these pairs (default: those that interact most), on one scale of colours."""
    with _style():
        found = _maps(importance, pairs)
        figure = Figure(figsize=(WIDTH, _maps_height(len(found))))
        _draw_maps(figure, importance, found, target, direction)
    return figure


def draw_page(importance: Importance, *, study: str, target: str, direction: StudyDirection | None = None) -> Figure:
    """All on one page: bars, curves of the most important factors, maps of the strongest pairs, cautions."""
    with _style():
        curves, maps = _curves(importance, ()), _maps(importance, ())
        notes = [line for note in importance.notes for line in textwrap.wrap(_plain(note), 140)]
        heights = [_bars_height(importance), _curves_height(len(curves)), _maps_height(len(maps))]
        heights = [height for height in heights if height] + [0.25 + 0.17 * len(notes)]
        figure = Figure(figsize=(WIDTH, sum(heights) + 0.4))
        figure.suptitle(
            f"{_short(study, LONGEST_TITLE)}: what moved {_short(target, LONGEST_TITLE)}",
            x=0.01,
            ha="left",
            fontsize=14,
            weight="bold",
        )
        parts = iter(np.atleast_1d(np.asarray(figure.subfigures(len(heights), 1, height_ratios=heights))).tolist())
        _bars(next(parts), importance, target)
        if curves:
            _draw_curves(next(parts), importance, curves, target, direction)
        if maps:
            _draw_maps(next(parts), importance, maps, target, direction)
        next(parts).text(0.01, 0.9, "\n".join(notes), va="top", fontsize=8.5, color=INK)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, or as what the path's suffix says."""
    with _style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # names in scripts that the font does not have
        figure.savefig(path)


@contextmanager
def _style() -> Iterator[None]:
    with mpl.rc_context(STYLE):
        yield


def _plain(text: str) -> str:
    """Text that stays itself: no mathematics between dollars, no control characters."""
    return "".join(c if c.isprintable() else "�" for c in text).replace("$", r"\$")


def _short(name: object, longest: int = LONGEST_NAME) -> str:
    """A name, or of a long one its end, which tells parameters of one group apart."""
    word = str(name)
    return _plain(word if len(word) <= longest else f"…{word[1 - longest :]}")


def _bars_height(importance: Importance) -> float:
    return 1.25 + 0.27 * (min(len(importance.importances), MOST_BARS) + 1)


def _bars(figure: FigureBase, importance: Importance, target: str) -> None:
    axes = figure.add_subplot()
    if not importance.importances:
        axes.axis("off")
        axes.text(0, 0.5, textwrap.fill(_plain(importance.notes[-1]), 100), va="center", fontsize=11)
        return
    shown = list(importance.importances)[:MOST_BARS]
    shares = [importance.importances[name] for name in shown]
    rest = max(0.0, 1 - sum(importance.importances.values()))
    labels = [*map(_short, shown), "interactions, noise"]
    colour = BLUE if _is_believable(importance) else PALE
    places = np.arange(len(labels))
    axes.barh(places, [*shares, rest], height=0.66, color=[colour] * len(shown) + ["#D0D0D0"])
    ends = [*shares, rest]
    for place, name in enumerate(shown):
        if name in importance.intervals:
            low, high = importance.intervals[name]
            axes.plot([low, high], [place, place], color=INK, lw=1.4, solid_capstyle="butt")
            for end in (low, high):
                axes.plot([end, end], [place - 0.16, place + 0.16], color=INK, lw=1.4)
            ends[place] = max(ends[place], high)
    for place, (end, share) in enumerate(zip(ends, [*shares, rest], strict=True)):
        axes.text(end + 0.008, place, _percent(share), va="center", fontsize=9)
    axes.set(yticks=places, yticklabels=labels, xlim=(0, max([0.1, *ends]) * 1.1))
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.grid(axis="x", color="#E6E6E6", lw=0.8)
    axes.set_axisbelow(True)
    whiskers = "; whiskers: 90% interval" if importance.intervals else ""
    axes.set_xlabel(
        f"share of the variance of {_short(target, LONGEST_TITLE)} explained by each parameter alone{whiskers}"
    )
    axes.set_title(_trust(importance), color=INK if _is_believable(importance) else ORANGE)


def _is_believable(importance: Importance) -> bool:
    return importance.r2 is not None and importance.r2 >= BELIEVABLE


def _trust(importance: Importance) -> str:
    """How many trials, and how well the forest foretells those it has not seen."""
    trials = f"{importance.n_trials} trials"
    if importance.r2 is None:
        return f"{trials}: too few to believe these shares"
    fit = f"R² {importance.r2:.2f} on unseen trials"
    return f"{trials}, {fit}" + ("" if _is_believable(importance) else ": too low to believe these shares")


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.0995 else f"{share:.1%}" if share >= 0.0005 else "0%"


def _curves(importance: Importance, names: Sequence[str]) -> list[Curve]:
    forest = importance.forest
    if forest is None:
        return []
    varied = {factor.name for factor in forest.factors}
    ranking = [name for name in importance.importances if name in varied]
    telling = [name for name in ranking if importance.importances[name] >= WORTH_A_CURVE]
    return [curve(forest, name) for name in names or max(telling, ranking[:3], key=len)[:MOST_CURVES]]


def _curves_height(count: int) -> float:
    return 2.15 * math.ceil(count / _columns(count)) + 0.6 if count else 0.0


def _columns(count: int) -> int:
    """Panels to a row: three, but four stand better in one."""
    return 4 if count == 4 else 3


def _draw_curves(
    figure: FigureBase,
    importance: Importance,
    curves: Sequence[Curve],
    target: str,
    direction: StudyDirection | None,
) -> None:
    columns = _columns(len(curves))
    rows = math.ceil(len(curves) / columns)
    grid = np.asarray(figure.subplots(rows, columns, sharey=True, squeeze=False)).ravel().tolist()
    low = min(float(np.min(found.mean - found.std)) for found in curves)
    high = max(float(np.max(found.mean + found.std)) for found in curves)
    margin = 0.06 * (high - low) or 1.0
    for place, axes in enumerate(grid):
        if place >= len(curves):
            axes.set_visible(False)
            continue
        found = curves[place]
        _draw_curve(axes, found, direction)
        axes.set_ylim(low - margin, high + margin)
        axes.set_title(f"{_short(found.axis.name, LONGEST_TITLE)}  {_percent(importance.importances[found.axis.name])}")
        axes.grid(axis="y", color="#E6E6E6", lw=0.8)
        axes.set_axisbelow(True)
    for row in range(rows):
        grid[columns * row].set_ylabel(_labelled(target, direction))
    best = "" if direction is None else "; diamond: the best"
    _head(figure, f"One parameter at a time, all others averaged (band, bars: spread between trees{best})")


def _head(figure: FigureBase, sentence: str) -> None:
    figure.suptitle(sentence, x=0.01, ha="left", fontsize=9.5, color=INK)


def _draw_curve(axes: Axes, found: Curve, direction: StudyDirection | None) -> None:
    """Mean and spread between trees; the best place, where a direction says which is, is marked."""
    axis, mean, std = found.axis, found.mean, found.std
    x = _places(axis)
    if axis.is_ordered and len(axis.values) > 12:
        axes.fill_between(x, mean - std, mean + std, color=BLUE, alpha=0.22, lw=0)
        axes.plot(x, mean, color=BLUE, lw=1.8)
    else:
        axes.errorbar(x, mean, std, fmt="o-" if axis.is_ordered else "o", color=BLUE, ms=5, lw=1.4, capsize=2.5)
    if direction is not None and direction != StudyDirection.NOT_SET:
        best = int(np.argmax(mean) if direction == StudyDirection.MAXIMIZE else np.argmin(mean))
        axes.plot(x[best], mean[best], marker="D", ms=6, color=ORANGE, mec="white", mew=0.8, zorder=5)
    _set_ticks(axes, axis, "x")


def _labelled(target: str, direction: StudyDirection | None) -> str:
    better = {StudyDirection.MAXIMIZE: "\n(higher is better)", StudyDirection.MINIMIZE: "\n(lower is better)"}
    return f"expected {_short(target, LONGEST_TITLE)}{better.get(direction, '') if direction else ''}"


def _places(axis: Axis) -> np.ndarray:
    """Where the values stand on paper: choices and short lists side by side, the rest where they are."""
    if _is_listed(axis):
        return np.arange(len(axis.values), dtype=np.float64)
    return np.asarray(axis.values, dtype=np.float64)


def _is_listed(axis: Axis) -> bool:
    return not axis.is_ordered or len(axis.values) <= 8


def _set_ticks(axes: Axes, axis: Axis, side: str) -> None:
    ruler = axes.xaxis if side == "x" else axes.yaxis
    if _is_listed(axis):
        labels = [_tick(value) for value in axis.values]
        ruler.set_ticks(range(len(labels)), labels)
        if side == "x":
            axes.set_xlim(-0.5, len(labels) - 0.5)
            if sum(map(len, labels)) > 26:
                axes.tick_params(axis="x", rotation=30)
    elif axis.is_log:
        (axes.set_xscale if side == "x" else axes.set_yscale)("log")
        ruler.set_major_locator(LogLocator(numticks=5))
        ruler.set_major_formatter(LogFormatterSciNotation())
        ruler.set_minor_locator(NullLocator())
    else:
        ruler.set_major_locator(MaxNLocator(5))


def _tick(value: object) -> str:
    word = f"{value:g}" if isinstance(value, float) else str(value)
    return _plain(word if len(word) <= 14 else f"{word[:6]}…{word[-6:]}")


def _maps(importance: Importance, pairs: Sequence[tuple[str, str]]) -> list[Map]:
    """The joint marginals to draw; by default of the pairs that were asked for, the strongest first."""
    forest = importance.forest
    if forest is None:
        return []
    if pairs:
        return [joint(forest, *pair) for pair in pairs]
    couples = combinations([factor.name for factor in forest.factors], 2)
    known = [(importance.pairs[f"{x}*{y}"], x, y) for x, y in couples if f"{x}*{y}" in importance.pairs]
    strongest = sorted(known, key=itemgetter(0), reverse=True)[:MOST_MAPS]
    return [joint(forest, x, y) for share, x, y in strongest if share >= WORTH_A_MAP]


def _maps_height(count: int) -> float:
    return 2.6 * math.ceil(count / 3) + 0.6 if count else 0.0


def _draw_maps(
    figure: FigureBase,
    importance: Importance,
    maps: Sequence[Map],
    target: str,
    direction: StudyDirection | None,
) -> None:
    rows = math.ceil(len(maps) / 3)
    grid = np.asarray(figure.subplots(rows, 3, squeeze=False)).ravel().tolist()
    scale = Normalize(min(float(m.mean.min()) for m in maps), max(float(m.mean.max()) for m in maps))
    drawn = None
    for place, axes in enumerate(grid):
        if place >= len(maps):
            axes.set_visible(False)
            continue
        found = maps[place]
        drawn = axes.pcolormesh(
            _edges(found.x), _edges(found.y), found.mean, norm=scale, cmap="viridis", rasterized=True
        )
        _set_ticks(axes, found.x, "x")
        _set_ticks(axes, found.y, "y")
        axes.set(xlabel=_short(found.x.name, LONGEST_NAME), ylabel=_short(found.y.name, LONGEST_TITLE))
        share = importance.pairs.get(f"{found.x.name}*{found.y.name}")
        axes.set_title(f"beyond both alone: {_percent(share)}" if share is not None else "")
    if drawn is not None:
        figure.colorbar(drawn, ax=grid[: len(maps)], label=_labelled(target, direction), pad=0.01)
    _head(figure, "Two at a time, all others averaged")


def _edges(axis: Axis) -> np.ndarray:
    """(points + 1,) where the cells of a map begin and end."""
    places = _places(axis)
    is_scaled = axis.is_log and not _is_listed(axis)
    middles = np.log(places) if is_scaled else places
    between = (middles[1:] + middles[:-1]) / 2
    first, last = (middles[0] - 0.5, middles[-1] + 0.5) if _is_listed(axis) else (middles[0], middles[-1])
    edges = np.concatenate(([first], between, [last]))
    return np.exp(edges) if is_scaled else edges
