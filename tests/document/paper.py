"""What tests of figures look at."""

from __future__ import annotations

import warnings

from matplotlib.figure import Figure


def texts(figure: Figure) -> list[str]:
    found = [artist.get_text() for artist in figure.findobj(match=lambda a: hasattr(a, "get_text"))]
    return [text for text in found if text]


def assert_on_paper(figure: Figure) -> None:
    """Nothing that is drawn leaves the figure."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        figure.draw_without_rendering()
        drawn = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert -0.01 <= drawn.x0 <= drawn.x1 <= width + 0.01
    assert -0.01 <= drawn.y0 <= drawn.y1 <= height + 0.01
