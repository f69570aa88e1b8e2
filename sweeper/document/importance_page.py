"""Importance on one page: bars, curves of the most important factors, maps of the strongest pairs, cautions."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.figure import Figure
from optuna.study import StudyDirection

from sweeper.document.importance_bars import bars, bars_height
from sweeper.document.ink import INK, LONGEST_TITLE, WIDTH, plain, short, style
from sweeper.document.marginals import chosen_curves, chosen_maps, curves_height, curves_on, maps_height, maps_on
from sweeper.importance import Importance


def draw_page(importance: Importance, *, study: str, target: str, direction: StudyDirection | None = None) -> Figure:
    """All on one page: bars, curves of the most important factors, maps of the strongest pairs, cautions."""
    with style():
        curves, maps = chosen_curves(importance, ()), chosen_maps(importance, ())
        notes = [line for note in importance.notes for line in textwrap.wrap(plain(note), 140)]
        heights = [bars_height(importance), curves_height(len(curves)), maps_height(len(maps))]
        heights = [height for height in heights if height] + [0.25 + 0.17 * len(notes)]
        figure = Figure(figsize=(WIDTH, sum(heights) + 0.4))
        figure.suptitle(
            f"{short(study, LONGEST_TITLE)}: what moved {short(target, LONGEST_TITLE)}",
            x=0.01,
            ha="left",
            fontsize=14,
            weight="bold",
        )
        parts = iter(np.atleast_1d(np.asarray(figure.subfigures(len(heights), 1, height_ratios=heights))).tolist())
        bars(next(parts), importance, target)
        if curves:
            curves_on(next(parts), importance, curves, target, direction)
        if maps:
            maps_on(next(parts), importance, maps, target, direction)
        next(parts).text(0.01, 0.9, "\n".join(notes), va="top", fontsize=8.5, color=INK)
    return figure
