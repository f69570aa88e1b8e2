"""Importance as bars: the share of each factor, with its interval."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sweeper.document.ink import BLUE, INK, LONGEST_TITLE, ORANGE, PALE, WIDTH, headline, percent, plain, short, style
from sweeper.importance import BELIEVABLE, Importance

MOST_BARS = 20
FEWEST_BARS = 6  # that are drawn however short they are
WORTH_A_BAR = 0.01
WORTH_NAMING = 0.1  # the share from which a second and third factor are named


def draw_bars(importance: Importance, *, target: str) -> Figure:
    """A bar for the share of each factor, with its 90% interval, and one for what no main effect explains."""
    with style():
        figure = Figure(figsize=(WIDTH, bars_height(importance)))
        bars(figure, importance, target)
    return figure


def bars_height(importance: Importance) -> float:
    """Inches, with a row for each bar and two for what is left."""
    return 1.25 + 0.27 * (len(_shown(importance)) + 2)


def bars(figure: FigureBase, importance: Importance, target: str) -> None:
    """Draw them on a figure of that height."""
    axes = figure.add_subplot()
    if not importance.importances:
        axes.axis("off")
        axes.text(0, 0.5, textwrap.fill(plain(importance.notes[-1]), 100), va="center", fontsize=11)
        return
    shown = _shown(importance)
    others = [share for name, share in importance.importances.items() if name not in shown]
    left = {f"{len(others)} more together": sum(others)} if others else {}
    left["interactions, noise"] = max(0.0, 1 - sum(importance.importances.values()))
    shares = [*(importance.importances[name] for name in shown), *left.values()]
    colour = BLUE if _is_believable(importance) else PALE
    axes.barh(range(len(shares)), shares, height=0.66, color=[colour] * len(shown) + ["#D0D0D0"] * len(left))
    ends = [*_whiskers(axes, importance, shown), *left.values()]
    for place, (end, share) in enumerate(zip(ends, shares, strict=True)):
        is_constant = place < len(shown) and shown[place] not in _varied(importance)
        axes.text(end + 0.008, place, "never varied" if is_constant else percent(share), va="center", fontsize=9)
    axes.set(yticks=range(len(shares)), yticklabels=[*map(short, shown), *left])
    axes.set_xlim(0, max([0.1, *ends]) * 1.1)
    _rule(axes)
    word = short(target, LONGEST_TITLE)
    whiskers = "; whiskers: 90% interval" if importance.intervals else ""
    axes.set_xlabel(f"share of the variance of {word} that each explains alone{whiskers}")
    trusted = INK if _is_believable(importance) else ORANGE
    axes.set_title(_trust(importance), color=trusted, fontsize=9.5, weight="normal")
    headline(figure, gist(importance, target))


def _shown(importance: Importance) -> list[str]:
    """The factors that have a bar of their own."""
    ranking = importance.importances.items()
    telling = [name for i, (name, share) in enumerate(ranking) if i < FEWEST_BARS or share >= WORTH_A_BAR]
    return telling[:MOST_BARS]


def _rule(axes: Axes) -> None:
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.grid(axis="x", color="#E6E6E6", lw=0.8)
    axes.set_axisbelow(True)


def _whiskers(axes: Axes, importance: Importance, shown: Sequence[str]) -> list[float]:
    """Draw the intervals; where each bar with its whisker ends."""
    ends = [importance.importances[name] for name in shown]
    for place, name in enumerate(shown):
        if name in importance.intervals:
            low, high = importance.intervals[name]
            axes.plot([low, high], [place, place], color=INK, lw=1.4, solid_capstyle="butt")
            for end in (low, high):
                axes.plot([end, end], [place - 0.16, place + 0.16], color=INK, lw=1.4)
            ends[place] = max(ends[place], high)
    return ends


def _varied(importance: Importance) -> set[str]:
    return {factor.name for factor in importance.forest.factors} if importance.forest else set()


def _is_believable(importance: Importance) -> bool:
    return importance.r2 is not None and importance.r2 >= BELIEVABLE


def gist(importance: Importance, target: str) -> str:
    """What the bars say, in one line."""
    if not _is_believable(importance):
        return f"Not known yet: what moved {short(target, LONGEST_TITLE)}"
    first, *others = importance.importances.items()
    also = [name for name, share in others[:2] if share >= WORTH_NAMING]
    then = f", then {' and '.join(short(name, LONGEST_TITLE) for name in also)}" if also else ""
    name, share = first
    return f"{short(name, LONGEST_TITLE)} moved {short(target, LONGEST_TITLE)} most ({percent(share)}){then}"


def _trust(importance: Importance) -> str:
    """How many trials, and how well the forest foretells those it has not seen."""
    trials = f"{importance.n_trials} trials"
    if importance.r2 is None:
        return f"{trials}: too few to believe these shares"
    if _is_believable(importance):
        return f"{trials}; the forest behind this foretells {importance.r2:.0%} of the variance of unseen trials"
    return f"{trials}; the forest foretells {max(importance.r2, 0):.0%} of unseen trials: too little to believe"
