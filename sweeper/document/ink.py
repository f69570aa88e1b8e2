"""Ink and paper: the colours, the style and the words that all figures share, and how a figure becomes a file.

Colours are from Okabe and Ito's palette and from viridis, which keep apart for the colour-blind and in grey.
"""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure, FigureBase
from optuna.study import StudyDirection

from sweeper.errors import ConfigError

BLUE, PALE, ORANGE, GREY, INK = "#0072B2", "#A9C6DA", "#D55E00", "#8A8A8A", "#222222"
PINK = "#CC79A7"
WIDTH = 9.0  # inches, of every figure
LONGEST_NAME = 32  # characters, beside a bar
LONGEST_TITLE = 20  # in a title or along an axis
LONGEST_LINE = 88  # characters of a headline
FORMATS = (".png", ".pdf", ".svg")
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
    "svg.hashsalt": "sweeper",  # else ids differ between two drawings of one figure
}
_NO_DATE: dict[str, dict[str, Any]] = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}


@contextmanager
def style() -> Iterator[None]:
    with mpl.rc_context(STYLE):
        yield


def plain(text: str) -> str:
    """Text that stays itself: no mathematics between dollars, no control characters."""
    return "".join(c if c.isprintable() else "�" for c in text).replace("$", r"\$")


def short(name: object, longest: int = LONGEST_NAME) -> str:
    """A name, or of a long one its end, which tells parameters of one group apart."""
    word = str(name)
    return plain(word if len(word) <= longest else f"…{word[1 - longest :]}")


def percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.0995 else f"{share:.1%}" if share >= 0.0005 else "0%"


def labelled(words: str, direction: StudyDirection | None) -> str:
    """The label of an axis, with which way is better where that is known."""
    better = {StudyDirection.MAXIMIZE: "\n(higher is better)", StudyDirection.MINIMIZE: "\n(lower is better)"}
    return f"{words}{better.get(direction, '') if direction else ''}"


def headline(figure: FigureBase, gist: str) -> None:
    """What the figure says, in one line above it."""
    figure.suptitle(textwrap.fill(gist, LONGEST_LINE), x=0.01, ha="left", fontsize=12, weight="bold", color=INK)


def head(figure: FigureBase, sentence: str) -> None:
    """How to read the figure."""
    figure.suptitle(sentence, x=0.01, ha="left", fontsize=9.5, color=INK)


def check_path(path: Path) -> None:
    """Raise `ConfigError`, before the work is done, where no figure can be written."""
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"a figure is written as {' or '.join(FORMATS)}, and {str(path)!r} is none of these")
    if path.is_dir():
        raise ConfigError(f"{str(path)!r} is a folder: name a file in it, as {str(path / 'figure.png')!r}")
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {str(path.parent)!r} to write {path.name!r} into: make it first")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as what the path's suffix says: PNG, PDF or SVG."""
    check_path(path)
    try:
        path.write_bytes(rendered(figure, path.suffix.lower().removeprefix(".")))
    except OSError as error:
        raise ConfigError(f"{str(path)!r} cannot be written ({error.strerror}): name another file") from error


def rendered(figure: Figure, form: str) -> bytes:
    """The figure as a file of this format holds it; the same figure gives the same bytes."""
    paper = io.BytesIO()
    with style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # names in scripts that the font does not have
        figure.savefig(paper, format=form, metadata=_NO_DATE[form])
    return paper.getvalue()
