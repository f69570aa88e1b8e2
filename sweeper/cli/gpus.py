"""`sweeper gpus`: every card of this machine, or of a cluster, and who is on it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from sweeper import machine, text
from sweeper.cli import watching
from sweeper.cli.option import DEFAULT_STORAGE, Address, Csv, Form, Json, Storage, form
from sweeper.cli.screen import Screen
from sweeper.cli.table import MISSING, Column, Table, fit, rich_table
from sweeper.cli.watching import Watch, check_form
from sweeper.errors import StorageError

if TYPE_CHECKING:
    from sweeper.launch.inventory import Look
    from sweeper.nvml import Card

_COLUMNS = (
    Column("node", gives_way=2),
    Column("GPU", is_number=True),
    Column("name"),
    Column("memory", is_number=True),
    Column("of", is_number=True, gives_way=3),
    Column("busy", is_number=True),
    Column("power", is_number=True, gives_way=3),
    Column("temperature", is_number=True, gives_way=4),
    Column("trials"),
    Column("others"),
)


def gpus(
    address: Address = None,
    watch: Watch = False,
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Show the GPUs: memory, load, the trials on each, and processes that are no trial's.

    Trials are those that the database knows to run. A card that others use takes no new trial.
    """
    from sweeper.launch.cluster import running_cluster

    asked = form(json, csv)
    if watch:
        check_form(asked)
    with contextlib.nullcontext() if address is None else running_cluster(address):
        look = _here if address is None else _of_cluster
        if watch:
            watching.watch(lambda width: _picture(look(), _trials(storage), width))
        else:
            _show(look(), _trials(storage), asked)


def _here() -> Sequence[Look]:
    from sweeper.launch import inventory

    return [inventory.here()]


def _of_cluster() -> Sequence[Look]:
    from sweeper.launch import inventory

    return list(inventory.of_cluster().values())


def _show(looks: Sequence[Look], trials: Mapping[str, Sequence[str]], asked: Form) -> None:
    from sweeper.launch import inventory

    if asked is Form.JSON:
        machine.print_json(list(inventory.records(looks, trials)))
    elif asked is Form.CSV:
        machine.print_csv(list(inventory.records(looks, trials)), columns=("node", "index", "uuid", "name"))
    else:
        screen = Screen()
        if any(one.cards for one in looks):
            screen.table(_table(looks, trials))
        for line in inventory.remarks(looks):
            screen.line(line)


def _picture(looks: Sequence[Look], trials: Mapping[str, Sequence[str]], width: int) -> Group:
    from sweeper.launch import inventory

    table = [rich_table(fit(_table(looks, trials), width))] if any(one.cards for one in looks) else []
    return Group(*table, *inventory.remarks(looks))


def _trials(storage: str) -> Mapping[str, Sequence[str]]:
    """The trials that run at the moment, by the UUIDs of the cards that they see; none where there is no database."""
    from sweeper.history import History

    with contextlib.suppress(StorageError):
        return History(storage).on_gpus()
    return {}


def _table(looks: Sequence[Look], trials: Mapping[str, Sequence[str]]) -> Table:
    return Table(_COLUMNS, tuple(_row(look, card, trials) for look in looks for card in look.cards))


def _row(look: Look, card: Card, trials: Mapping[str, Sequence[str]]) -> tuple[str | Text, ...]:
    others = [str(process.pid) for process in card.processes if process.pid not in look.ours]
    return (
        text.printable(look.node),
        str(card.index),
        text.printable(card.name),
        text.size(card.memory_used),
        text.size(card.memory_total),
        MISSING if card.utilization is None else f"{card.utilization:.0%}",
        MISSING if card.power_w is None else f"{card.power_w:.0f} W",
        MISSING if card.temperature_c is None else f"{card.temperature_c:.0f} °C",
        ", ".join(map(text.printable, trials.get(card.uuid, ()))) or MISSING,
        Text(f"process {', '.join(others)}", style="yellow") if others else MISSING,
    )
