"""The timeline: a row for each lane of each place, a bar for each trial, gaps where nothing ran."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from sweeper import text
from sweeper.document.ink import BLUE, LONGEST_TITLE, ORANGE, PALE, PINK, WIDTH, headline, short, style
from sweeper.document.lane import Session

MOST_LANES = 64
MOST_SESSIONS = 4
LOOKS = {  # state -> colour, word
    "COMPLETE": (BLUE, "complete"),
    "PRUNED": (PALE, "pruned"),
    "FAIL": (ORANGE, "failed"),
    "RUNNING": (PINK, "running"),
}


@dataclass(frozen=True)
class Unit:
    """What the time axis counts."""

    seconds: float
    word: str


def draw_timeline(sessions: Sequence[Session]) -> Figure | None:
    """The last sessions, one below the other; None where no trial took any time."""
    shown = [session for session in sessions if session.end > session.start][-MOST_SESSIONS:]
    if not shown:
        return None
    heights = [0.5 + 0.2 * min(len(session.lanes), MOST_LANES) for session in shown]
    with style():
        figure = Figure(figsize=(WIDTH, sum(heights) + 0.45 * len(shown) + 0.6))
        grid = figure.subplots(len(shown), 1, height_ratios=heights, squeeze=False).ravel().tolist()
        for axes, session in zip(grid, shown, strict=True):
            _draw(axes, session)
        states = [state for state in LOOKS if any(_has(session, state) for session in shown)]
        patches = [Patch(color=LOOKS[state][0], label=LOOKS[state][1]) for state in states]
        figure.legend(handles=patches, loc="outside lower right", ncols=4, frameon=False, fontsize=8.5)
        headline(figure, gist(sessions))
    return figure


def gist(sessions: Sequence[Session]) -> str:
    """How well the slots were used, in one line."""
    offered = sum(session.offered_s for session in sessions)
    idle = sum(session.idle_s for session in sessions)
    lanes = max(len(session.lanes) for session in sessions)
    share = idle / offered if offered > 0 else 0.0
    return (
        f"Up to {text.count(lanes, 'trial')} at once; slots stood idle {share:.0%} of the time ({text.duration(idle)})"
    )


def _has(session: Session, state: str) -> bool:
    return any(stay.state == state for lane in session.lanes for stay in lane.stays)


def _draw(axes: Axes, session: Session) -> None:
    unit = _unit(session.end - session.start)
    lanes = session.lanes[:MOST_LANES]
    for place, lane in enumerate(lanes):
        bars = [
            ((stay.start - session.start) / unit.seconds, (stay.end - stay.start) / unit.seconds) for stay in lane.stays
        ]
        colours = [LOOKS.get(stay.state, (PALE, ""))[0] for stay in lane.stays]
        axes.broken_barh(bars, (place - 0.38, 0.76), facecolors=colours, edgecolor="white", linewidth=0.4)
    axes.set_ylim(len(lanes) - 0.4, -0.6)
    axes.set_xlim(0, max((session.end - session.start) / unit.seconds, 1e-9))
    firsts = [i for i, lane in enumerate(lanes) if i == 0 or lane.place != lanes[i - 1].place]
    axes.set_yticks(firsts, [short(lanes[i].place, LONGEST_TITLE) for i in firsts])
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(8))
    left_out = f"; {len(session.lanes) - len(lanes)} more rows" if len(session.lanes) > len(lanes) else ""
    axes.set_xlabel(f"{unit.word} since {text.moment(session.start)}{left_out}")


def _unit(span: float) -> Unit:
    for seconds, word in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if span >= 3 * seconds:
            return Unit(seconds, word)
    return Unit(1.0, "seconds")
