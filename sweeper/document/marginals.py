"""What the forest expects along one parameter, as curves, and along two, as maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from operator import itemgetter

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import LogFormatterSciNotation, LogLocator, MaxNLocator, NullLocator
from optuna.study import StudyDirection

from sweeper.document.ink import (
    BLUE,
    LONGEST_NAME,
    LONGEST_TITLE,
    ORANGE,
    WIDTH,
    head,
    labelled,
    percent,
    plain,
    short,
    style,
)
from sweeper.importance import Axis, Curve, Importance, Map, curve, joint

MOST_CURVES = 6
MOST_MAPS = 3
WORTH_A_CURVE = 0.01  # the share below which a curve is flat to the eye; the first three are drawn all the same
WORTH_A_MAP = 0.005  # the share of a pair below which its map would show nothing new


def draw_curves(
    importance: Importance, *, target: str, direction: StudyDirection | None = None, names: Sequence[str] = ()
) -> Figure:
    """The marginal curves of these factors (default: the most important), on one scale of the target."""
    with style():
        found = chosen_curves(importance, names)
        figure = Figure(figsize=(WIDTH, curves_height(len(found))))
        curves_on(figure, importance, found, target, direction)
    return figure


def draw_maps(
    importance: Importance,
    *,
    target: str,
    direction: StudyDirection | None = None,
    pairs: Sequence[tuple[str, str]] = (),
) -> Figure:
    """The joint marginals of these pairs (default: those that interact most), on one scale of colours."""
    with style():
        found = chosen_maps(importance, pairs)
        figure = Figure(figsize=(WIDTH, maps_height(len(found))))
        maps_on(figure, importance, found, target, direction)
    return figure


def chosen_curves(importance: Importance, names: Sequence[str]) -> list[Curve]:
    forest = importance.forest
    if forest is None:
        return []
    varied = {factor.name for factor in forest.factors}
    ranking = [name for name in importance.importances if name in varied]
    telling = [name for name in ranking if importance.importances[name] >= WORTH_A_CURVE]
    return [curve(forest, name) for name in names or max(telling, ranking[:3], key=len)[:MOST_CURVES]]


def curves_height(count: int) -> float:
    return 2.15 * math.ceil(count / _columns(count)) + 0.6 if count else 0.0


def _columns(count: int) -> int:
    """Panels to a row: three, but four stand better in one."""
    return 4 if count == 4 else 3


def curves_on(
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
        axes.set_title(f"{short(found.axis.name, LONGEST_TITLE)}  {percent(importance.importances[found.axis.name])}")
        axes.grid(axis="y", color="#E6E6E6", lw=0.8)
        axes.set_axisbelow(True)
    for row in range(rows):
        grid[columns * row].set_ylabel(labelled(f"expected {short(target, LONGEST_TITLE)}", direction))
    best = "" if direction is None else "; diamond: the best"
    head(figure, f"One parameter at a time, all others averaged (band, bars: spread between trees{best})")


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


def strongest_pairs(importance: Importance) -> list[tuple[str, str]]:
    """The pairs worth a map: of those that were asked for, the ones that interact most."""
    names = [factor.name for factor in importance.forest.factors] if importance.forest else []
    known = [(importance.pairs.get(f"{x}*{y}", 0.0), x, y) for x, y in combinations(names, 2)]
    strongest = sorted(known, key=itemgetter(0), reverse=True)[:MOST_MAPS]
    return [(x, y) for share, x, y in strongest if share >= WORTH_A_MAP]


def chosen_maps(importance: Importance, pairs: Sequence[tuple[str, str]]) -> list[Map]:
    """The joint marginals of these pairs, by default of the strongest."""
    forest = importance.forest
    return [joint(forest, *pair) for pair in pairs or strongest_pairs(importance)] if forest else []


def maps_height(count: int) -> float:
    return 2.6 * math.ceil(count / 3) + 0.6 if count else 0.0


def maps_on(
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
        axes.set(xlabel=short(found.x.name, LONGEST_NAME), ylabel=short(found.y.name, LONGEST_TITLE))
        share = importance.pairs.get(f"{found.x.name}*{found.y.name}")
        axes.set_title(f"interaction: {percent(share)}" if share is not None else "")
    if drawn is not None:
        figure.colorbar(
            drawn, ax=grid[: len(maps)], label=labelled(f"expected {short(target, LONGEST_TITLE)}", direction), pad=0.01
        )
    head(figure, "Two parameters at a time, all others averaged (interaction: what a pair explains beyond each alone)")


def _edges(axis: Axis) -> np.ndarray:
    """(points + 1,) where the cells of a map begin and end."""
    places = _places(axis)
    is_scaled = axis.is_log and not _is_listed(axis)
    middles = np.log(places) if is_scaled else places
    between = (middles[1:] + middles[:-1]) / 2
    first, last = (middles[0] - 0.5, middles[-1] + 0.5) if _is_listed(axis) else (middles[0], middles[-1])
    edges = np.concatenate(([first], between, [last]))
    return np.exp(edges) if is_scaled else edges


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
    return plain(word if len(word) <= 14 else f"{word[:6]}…{word[-6:]}")
