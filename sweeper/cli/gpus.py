"""`sweeper gpus`: every card of this machine, or of a cluster, and who is on it."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from sweeper import machine, text
from sweeper.cli.option import DEFAULT_STORAGE, Address, Csv, Form, Json, Storage, form
from sweeper.cli.screen import Screen
from sweeper.cli.table import MISSING, Column, Table, fit, rich_table
from sweeper.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from sweeper.launch.inventory import Look
    from sweeper.nvml import Card

_EVERY_S = 2.0
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
    watch: Annotated[bool, typer.Option("--watch", help="Look again every 2 seconds, until Ctrl-C.")] = False,
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Show the GPUs: memory, load, the trials on each, and processes that are no trial's.

    Trials are those that the database knows to run. A card that others use takes no new trial.
    """
    from sweeper.launch import inventory
    from sweeper.launch.cluster import running_cluster

    asked = form(json, csv)
    if watch and asked is not Form.TEXT:
        raise ConfigError("--watch is for a terminal: leave it out, or --json and --csv")
    print_found = functools.partial(_watch if watch else _show, storage=storage, asked=asked)
    if address is None:
        print_found(lambda: [inventory.here()])
        return
    with running_cluster(address):
        print_found(lambda: list(inventory.of_cluster().values()))


Looking = Callable[[], "Sequence[Look]"]


def _show(look: Looking, storage: str, asked: Form) -> None:
    from sweeper.launch import inventory

    looks, trials = look(), _trials(storage)
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


def _watch(look: Looking, storage: str, asked: Form) -> None:
    from sweeper.launch import inventory

    with contextlib.suppress(KeyboardInterrupt), Live(auto_refresh=False) as live:
        while True:
            looks = look()
            shown = rich_table(fit(_table(looks, _trials(storage)), live.console.width))
            live.update(Group(shown, *inventory.remarks(looks)), refresh=True)
            time.sleep(_EVERY_S)  # cards tell nobody when something changes


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
