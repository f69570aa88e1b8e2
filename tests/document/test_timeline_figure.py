from __future__ import annotations

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex

from sweeper.document.ink import BLUE, ORANGE
from sweeper.document.lane import Stay, sessions
from sweeper.document.timeline_figure import draw_timeline
from tests.document.paper import assert_on_paper, texts

START = 1_700_000_000.0


def test_bars_are_the_trials_and_idle_time_is_told() -> None:
    stays = [
        Stay(0, "COMPLETE", "node-a", START, START + 600),
        Stay(1, "FAIL", "node-b", START, START + 150),
        Stay(2, "COMPLETE", "node-b", START + 300, START + 600),
    ]
    figure = draw_timeline(sessions(stays))
    assert figure is not None
    (axes,) = figure.axes
    bars = [found for found in axes.collections if isinstance(found, PolyCollection)]
    spans = [[(path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in bar.get_paths()] for bar in bars]
    assert np.allclose(spans[0], [(0, 10)]) and np.allclose(spans[1], [(0, 2.5), (5, 10)])
    assert [to_hex(colour) for colour in bars[1].get_facecolor()] == [ORANGE.lower(), BLUE.lower()]
    words = texts(figure)
    assert {"node-a", "node-b", "complete", "failed"} <= set(words)
    assert "Up to 2 trials at once; slots stood idle 12% of the time (2 min 30 s)" in words
    assert "minutes since 2023-11-14 22:13:20 UTC" in words
    assert_on_paper(figure)


def test_sessions_stand_one_below_the_other() -> None:
    stays = [Stay(i, "PRUNED", "n$ode$\x1b" * 9, START + i * 86400, START + i * 86400 + 5) for i in range(6)]
    figure = draw_timeline(sessions(stays))
    assert figure is not None and len(figure.axes) == 4
    assert_on_paper(figure)


def test_trials_that_took_no_time_make_none() -> None:
    assert draw_timeline(sessions([Stay(0, "COMPLETE", "a", START, START)])) is None


def test_no_times_no_timeline() -> None:
    assert draw_timeline([]) is None
