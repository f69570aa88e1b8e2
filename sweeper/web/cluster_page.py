"""The machines behind the trials: who shares them, and every card, how full and how busy it is, and who is on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sweeper import text
from sweeper.history import History, TrialName
from sweeper.sight import Record, Sight
from sweeper.web.address import study_address, trial_address
from sweeper.web.api import records_answer
from sweeper.web.page import render
from sweeper.web.pulse import of_cluster
from sweeper.web.source import source_of
from sweeper.web.table import MISSING, Cell, Column, Table, forms, words


def cluster(request: Request) -> Response:
    """The page."""
    seen = source_of(request).seen()
    return render(
        request,
        "cluster.html",
        title="Cluster",
        standing=standing(seen),
        remarks=seen.remarks,
        queue=line(seen.queue, source_of(request).history),
        cards=table(seen.gpus),
        mark=of_cluster(seen),
        crumbs=[("Studies", "/")],
    )


def gpus(request: Request) -> Response:
    """The cards, as `sweeper gpus --json` has them."""
    return records_answer(request, source_of(request).seen().gpus, "gpus.csv")


def queue(request: Request) -> Response:
    """The sweeps that share the cluster, as `sweeper queue --json` has them."""
    return records_answer(request, source_of(request).look().queue, "queue.csv")


def standing(seen: Sight) -> str:
    """Where one looks, and how many cards have nothing to do."""
    idle = sum(not card["trials"] and not card["others"] for card in seen.gpus)
    counted = f": {text.count(len(seen.gpus), 'GPU')}, {idle} of them idle" if seen.gpus else ""
    return f"{seen.where[:1].upper()}{seen.where[1:]}{counted}."


def table(gpus: Sequence[Record]) -> Table:
    """A row for each card."""
    columns = (
        Column("node"),
        Column("GPU", is_number=True),
        Column("trials"),
        Column("busy", is_number=True),
        Column("memory", is_number=True),
        Column("others"),
        Column("name"),
        Column("power", is_number=True),
        Column("temperature", is_number=True),
    )
    return Table("GPUs", columns, [_row(card) for card in gpus], **forms("/api/gpus"))


def line(sweeps: Sequence[Record], history: History) -> Table:
    """A row for each sweep; its study is a link where this database has it."""
    columns = (
        Column("study"),
        Column("by"),
        Column("fair share", is_number=True),
        Column("has", is_number=True),
        Column("running", is_number=True),
        Column("waiting", is_number=True),
        Column("used", is_number=True),
        Column("priority", is_number=True),
        Column("weight", is_number=True),
    )
    return Table("Queue", columns, [_standing(sweep, history) for sweep in sweeps], **forms("/api/queue"))


def _standing(sweep: Any, history: History) -> list[Cell]:
    return [
        words(sweep["study"], study_address(sweep["study"]) if history.has_study(sweep["study"]) else ""),
        words(f"{sweep['user']}@{sweep['host']}"),
        Cell(f"{sweep['share']:.3g} {sweep['resource']}"),
        Cell(f"{sweep['held']:.3g} {sweep['resource']}"),
        Cell(str(sweep["running"])),
        Cell(str(sweep["waiting"])),
        Cell(f"{sweep['used_s'] / 3600:.2f} {sweep['resource']} h"),
        Cell(str(sweep["priority"])),
        Cell(f"{sweep['weight']:g}"),
    ]


def _row(card: Any) -> list[Cell]:
    return [
        words(card["node"]),
        Cell(str(card["index"]), title=text.printable(card["uuid"])),
        _trials(card["trials"]),
        _measured(card["utilization"], "{:.0%}"),
        Cell(f"{text.size(card['memory_used'])} of {text.size(card['memory_total'])}"),
        _others(card["others"]),
        words(card["name"]),
        _measured(card["power_w"], "{:.0f} W"),
        _measured(card["temperature_c"], "{:.0f} °C"),
    ]


def _measured(found: float | None, form: str) -> Cell:
    return Cell(MISSING, look="missing") if found is None else Cell(form.format(found))


def _trials(names: Sequence[str]) -> Cell:
    """The trial, with its page; of several their names, since a cell leads to one place."""
    if not names:
        return Cell(MISSING, look="missing")
    if len(names) == 1:
        name = TrialName.parse(names[0])
        return words(names[0], trial_address(name.study, name.number))
    return words(", ".join(names), longest=200)


def _others(pids: Sequence[int]) -> Cell:
    if not pids:
        return Cell(MISSING, look="missing")
    said = f"process {', '.join(map(str, pids))}"
    return Cell(said, title="While somebody else's process is on it, no new trial begins there.", look="state fail")
