"""The picture of a proof: a row for each card, and in it every run, as high as the share of the card that it held."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sweeper.document.ink import GREY, INK, ORANGE, WIDTH, headline, save, style
from sweeper.history import RunRow

_NODES = {"H": "8×H100", "A": "4×A100", "T": "2×T4"}
_KINDS = {  # of trials: colour, words
    "two": ("#0072B2", "2 cards of H100"),
    "pair": ("#009E73", "1 card on each of 2 nodes"),
    "half": ("#E69F00", "½ a card of A100 or T4"),
    "bytes": ("#56B4E9", "8 GiB of any card"),
}
_LOOK_OF_LOST: dict[str, Any] = {"facecolor": "white", "edgecolor": ORANGE, "hatch": "////"}
_ROW_INCHES, _GAP, _EDGE = 0.26, 0.6, 0.44  # a gap between nodes in rows; a row is 0.88 high
_GRAIN = 1e-9


@dataclass(frozen=True)
class _Box:
    """A run on one card: seconds since the first began, and what part of the card it had."""

    kind: str
    is_lost: bool
    start: float
    end: float
    bottom: float
    share: float


def draw(found: Sequence[RunRow], picture: Path) -> None:
    boxes = _boxes(found)
    rows = _rows(boxes)
    trials = len({run.number for run in found})
    with style():
        figure = Figure(figsize=(WIDTH, _ROW_INCHES * (max(rows.values()) + 2) + 1.3))
        _fill(figure.subplots(), rows, boxes)
        patches = [Patch(color=colour, label=words) for colour, words in _KINDS.values()]
        patches.append(Patch(label="lost with its node, tried again elsewhere", **_LOOK_OF_LOST))
        figure.legend(handles=patches, loc="outside lower left", ncols=3, frameon=False, fontsize=8.5)
        headline(figure, f"{trials} trials on {len(rows)} cards of three nodes: no card is ever promised twice")
        save(figure, picture)


def _fill(axes: Axes, rows: dict[str, float], boxes: dict[str, list[_Box]]) -> None:
    for card, row in rows.items():
        axes.axhspan(row - _EDGE, row + _EDGE, color="#F1F1F1", linewidth=0)
        for box in boxes[card]:
            _draw(axes, row, box)
    axes.set_xlim(0, max(box.end for of_card in boxes.values() for box in of_card))
    axes.set_ylim(max(rows.values()) + 0.6, -0.6)
    axes.set_yticks([*rows.values()], [card[5:] for card in rows])
    axes.tick_params(axis="y", length=0, labelsize=8, colors=GREY)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("seconds")
    axes.set_title("A row is a card; a box is a trial, as high as the share of the card that it holds", weight="normal")
    _name_nodes(axes, rows)
    _mark_the_death(axes, rows, boxes)


def _boxes(found: Sequence[RunRow]) -> dict[str, list[_Box]]:
    """By card. Of those that share one, each lies on the lowest part that is free from its start to its end."""
    timed = [run for run in found if run.started_at is not None and run.ended_at is not None and run.gpu_share]
    began = min(run.started_at or 0.0 for run in timed)
    boxes = defaultdict[str, list[_Box]](list)
    for run in sorted(timed, key=lambda run: run.started_at or 0.0):
        start, end = (run.started_at or 0.0) - began, (run.ended_at or 0.0) - began
        share = min(run.gpu_share or 0.0, 1.0)
        for card in run.gpus:
            below = [box for box in boxes[card] if box.end > start]
            bottom = _lowest([(box.bottom, box.bottom + box.share) for box in below], share)
            boxes[card].append(_Box(run.config["kind"], run.failure == "lost", start, end, bottom, share))
    return boxes


def _lowest(taken: Sequence[tuple[float, float]], share: float) -> float:
    bottom = 0.0
    for begin, end in sorted(taken):
        if bottom + share <= begin + _GRAIN:
            break
        bottom = max(bottom, end)
    return bottom


def _rows(boxes: dict[str, list[_Box]]) -> dict[str, float]:
    """Where each card is drawn, node by node, the largest first."""
    rows, row = {}, 0.0
    for letter in _NODES:
        cards = sorted(card for card in boxes if card[4] == letter)
        rows |= {card: row + number for number, card in enumerate(cards)}
        row += len(cards) + _GAP
    return rows


def _draw(axes: Axes, row: float, box: _Box) -> None:
    height = 2 * _EDGE * box.share
    bottom = row + _EDGE - 2 * _EDGE * (box.bottom + box.share)
    colour = _KINDS[box.kind][0]
    paint = dict(_LOOK_OF_LOST) if box.is_lost else {"facecolor": colour, "edgecolor": "white"}
    axes.broken_barh([(box.start, box.end - box.start)], (bottom, height), linewidth=0.4, **paint)


def _name_nodes(axes: Axes, rows: dict[str, float]) -> None:
    for letter, name in _NODES.items():
        own = [row for card, row in rows.items() if card[4] == letter]
        middle = (min(own) + max(own)) / 2
        where = {"transform": axes.get_yaxis_transform(), "rotation": 90, "ha": "right", "va": "center"}
        axes.text(-0.035, middle, name, weight="bold", color=INK, **where)


def _mark_the_death(axes: Axes, rows: dict[str, float], boxes: dict[str, list[_Box]]) -> None:
    """Where the node whose runs were lost has no more."""
    for letter in _NODES:
        own = [card for card in rows if card[4] == letter]
        last = [max(boxes[card], key=lambda box: box.end) for card in own]
        end = max(box.end for box in last)
        if all(not box.is_lost for box in last if box.end == end) or end >= axes.get_xlim()[1]:
            continue
        top, bottom = min(rows[card] for card in own) - _EDGE, max(rows[card] for card in own) + _EDGE
        axes.axvline(end, color=ORANGE, linewidth=1.2, linestyle=(0, (4, 2)))
        axes.text(
            end, (top + bottom) / 2, "  the node is killed:\n  its trials go elsewhere", color=ORANGE, va="center"
        )
