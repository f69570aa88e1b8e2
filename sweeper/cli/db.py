"""`sweeper db …`: the database itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweeper import machine, text
from sweeper.cli.option import DEFAULT_STORAGE, Json, Storage
from sweeper.cli.screen import Screen
from sweeper.cli.table import Column, Table

if TYPE_CHECKING:
    from sweeper.history import Inventory

db = typer.Typer(help="Look after the database: its schema, journals that it missed, a copy.", no_args_is_help=True)

_COLUMNS = (Column("table"), Column("rows", is_number=True))


@db.command()
def status(storage: Storage = DEFAULT_STORAGE, json: Json = False) -> None:
    """Show what the database is and holds, and whether its schema is up to date."""
    from sweeper.history import Inventory

    found = Inventory.of(storage)
    if json:
        machine.print_json(machine.record(found))
        return
    screen = Screen()
    screen.facts(
        [
            ("database", text.printable(found.where)),
            ("size", text.size(found.size_bytes)),
            ("Optuna's schema", found.optuna_schema or "none yet"),
            ("sweeper's schema", found.sweeper_schema or "none yet"),
            ("to do", found.advice or "nothing: the schema is up to date"),
        ]
    )
    screen.line()
    _show_rows(found.rows, screen)


@db.command()
def upgrade(storage: Storage = DEFAULT_STORAGE, json: Json = False) -> None:
    """Bring the schema to this version of sweeper, in one transaction; any sweep does it too when it starts."""
    from sweeper.history import Inventory
    from sweeper.record import open_database

    before = Inventory.of(storage)
    open_database(storage).engine.dispose()
    after = Inventory.of(storage)
    if json:
        machine.print_json({"before": machine.record(before), "after": machine.record(after)})
    else:
        Screen().line(_upgraded(before, after))


@db.command()
def replay(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of a sweep, or one above it.")],
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
) -> None:
    """Take in journals that never reached the database; what it has already is not stored twice."""
    from sweeper.replay import replay as take_in

    found = take_in(folder, storage)
    if json:
        machine.print_json(machine.record(found))
        return
    screen = Screen()
    screen.line(
        f"{found.events:,} events of {found.runs:,} runs are on record, and {found.spools:,} spools are taken in."
    )
    for path in found.unknown:
        screen.line(f"not on record here, name the database of its sweep: {text.printable(path)}")


@db.command()
def copy(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The URL of the database to copy.")],
    destination: Annotated[str, typer.Argument(metavar="DESTINATION", help="The URL of an empty or new one.")],
    json: Json = False,
) -> None:
    """Copy everything into an empty database, SQLite or PostgreSQL, row for row; the source stays as it is."""
    from sweeper.history.connection import open_engine, reading, shown
    from sweeper.record.copy import copy_database

    where = shown(source)
    with reading(open_engine(source), where) as connection:
        copied = copy_database(connection, where, destination)
    if json:
        machine.print_json(copied)
        return
    screen = Screen()
    screen.line(f"{sum(copied.values()):,} rows copied to {text.printable(shown(destination))}")
    screen.line()
    _show_rows(copied, screen)


def _upgraded(before: Inventory, after: Inventory) -> str:
    where = text.printable(after.where)
    if before.sweeper_schema == after.sweeper_schema:
        return f"{where} is up to date: sweeper's schema {after.sweeper_schema}, Optuna's {after.optuna_schema}."
    was = before.sweeper_schema or "none"
    return f"{where} is upgraded: sweeper's schema {was} -> {after.sweeper_schema}, Optuna's {after.optuna_schema}."


def _show_rows(rows: dict[str, int], screen: Screen) -> None:
    screen.table(Table(_COLUMNS, tuple((text.printable(name), f"{count:,}") for name, count in rows.items())))
