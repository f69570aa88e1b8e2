"""Importance as bars: the share of each factor, with its interval."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sweeper.document.ink import BLUE, INK, LONGEST_TITLE, ORANGE, PALE, WIDTH, percent, plain, short, style
from sweeper.importance import BELIEVABLE, Importance

MOST_BARS = 20
WORTH_NAMING = 0.1  # the share from which a second and third factor are named


def draw_bars(importance: Importance, *, target: str) -> Figure:
    """A bar for the share of each factor, with its 90% interval, and one for what no main effect explains."""
    with style():
        figure = Figure(figsize=(WIDTH, bars_height(importance)))
        bars(figure, importance, target)
    return figure


def bars_height(importance: Importance) -> float:
    return 1.25 + 0.27 * (min(len(importance.importances), MOST_BARS) + 1)


def bars(figure: FigureBase, importance: Importance, target: str) -> None:
    axes = figure.add_subplot()
    if not importance.importances:
        axes.axis("off")
        axes.text(0, 0.5, textwrap.fill(plain(importance.notes[-1]), 100), va="center", fontsize=11)
        return
    shown = list(importance.importances)[:MOST_BARS]
    rest = max(0.0, 1 - sum(importance.importances.values()))
    shares = [*(importance.importances[name] for name in shown), rest]
    colour = BLUE if _is_believable(importance) else PALE
    axes.barh(range(len(shares)), shares, height=0.66, color=[colour] * len(shown) + ["#D0D0D0"])
    ends = [*_whiskers(axes, importance, shown), rest]
    for place, (end, share) in enumerate(zip(ends, shares, strict=True)):
        is_constant = place < len(shown) and shown[place] not in _varied(importance)
        axes.text(end + 0.008, place, "never varied" if is_constant else percent(share), va="center", fontsize=9)
    axes.set(yticks=range(len(shares)), yticklabels=[*map(short, shown), "interactions, noise"])
    axes.set_xlim(0, max([0.1, *ends]) * 1.1)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.grid(axis="x", color="#E6E6E6", lw=0.8)
    axes.set_axisbelow(True)
    word = short(target, LONGEST_TITLE)
    whiskers = "; whiskers: 90% interval" if importance.intervals else ""
    axes.set_xlabel(f"share of the variance of {word} that each explains alone{whiskers}")
    axes.set_title(
        _trust(importance), color=INK if _is_believable(importance) else ORANGE, fontsize=9.5, weight="normal"
    )
    figure.suptitle(_gist(importance, word), x=0.01, ha="left", fontsize=12, weight="bold", color=INK)


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


def _gist(importance: Importance, target: str) -> str:
    """What the bars say, in one line."""
    if not _is_believable(importance):
        return f"Not known yet: what moved {target}"
    first, *others = importance.importances.items()
    also = [name for name, share in others[:2] if share >= WORTH_NAMING]
    then = f", then {' and '.join(short(name, LONGEST_TITLE) for name in also)}" if also else ""
    name, share = first
    return f"{short(name, LONGEST_TITLE)} moved {target} most ({percent(share)}){then}"


def _trust(importance: Importance) -> str:
    """How many trials, and how well the forest foretells those it has not seen."""
    trials = f"{importance.n_trials} trials"
    if importance.r2 is None:
        return f"{trials}: too few to believe these shares"
    if _is_believable(importance):
        return f"{trials}; the forest behind this foretells {importance.r2:.0%} of the variance of unseen trials"
    return f"{trials}; the forest foretells {max(importance.r2, 0):.0%} of unseen trials: too little to believe"
