"""`sweeper queue`: the sweeps that share a cluster, what is fair, what each has, and how many trials wait."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group

from sweeper import machine, text
from sweeper.cli import watching
from sweeper.cli.option import Csv, Form, Json, form
from sweeper.cli.screen import Screen
from sweeper.cli.table import Column, Table, fit, rich_table
from sweeper.cli.watching import Watch, check_form
from sweeper.errors import LaunchError

if TYPE_CHECKING:
    from sweeper.share.claim import Standing

_COLUMNS = (
    Column("study"),
    Column("user"),
    Column("host", gives_way=4),
    Column("priority", is_number=True, gives_way=2),
    Column("weight", is_number=True, gives_way=2),
    Column("limits", gives_way=3),
    Column("fair share", is_number=True),
    Column("has", is_number=True),
    Column("running", is_number=True),
    Column("waiting", is_number=True),
    Column("used", is_number=True, gives_way=1),
)


def queue(
    address: Annotated[
        str | None,
        typer.Option(envvar="RAY_ADDRESS", metavar="HOST:PORT", help="A running Ray cluster.", show_default=False),
    ] = None,
    watch: Watch = False,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Show the sweeps that share a cluster: fair shares, what each has, trials that wait for room.

    A sweep's part is set with hydra.sweeper.share: {weight: 1, priority: 0, min: 0, max: null}.
    """
    asked = form(json, csv)
    if watch:
        check_form(asked)
    if address is None:
        _show([], asked, "No cluster is named: give --address HOST:PORT, or set RAY_ADDRESS.")
        return
    from sweeper.launch.cluster import running_cluster
    from sweeper.launch.queue import standings

    with contextlib.ExitStack() as joined:
        try:
            joined.enter_context(running_cluster(address))
        except LaunchError as error:
            _show([], asked, str(error))
            return
        if watch:
            watching.watch(lambda width: _picture(standings(), width, _nobody(address)))
        else:
            _show(standings(), asked, _nobody(address))


def _nobody(address: str) -> str:
    return f"No sweep is on the cluster at {address}."


def _show(rows: Sequence[Standing], asked: Form, if_none: str) -> None:
    if asked is Form.JSON:
        machine.print_json([machine.record(row) for row in rows])
    elif asked is Form.CSV:
        machine.print_csv([machine.record(row) for row in rows], columns=("sweep", "study", "user"))
    elif rows:
        screen = Screen()
        screen.table(_table(rows))
        screen.line(_in_all(rows))
    else:
        Screen().line(if_none)


def _picture(rows: Sequence[Standing], width: int, if_none: str) -> Group:
    return Group(rich_table(fit(_table(rows), width)), _in_all(rows)) if rows else Group(if_none)


def _table(rows: Sequence[Standing]) -> Table:
    return Table(_COLUMNS, tuple(_row(row) for row in rows))


def _row(row: Standing) -> tuple[str, ...]:
    return (
        text.printable(row.study),
        text.printable(row.user),
        text.printable(row.host),
        str(row.priority),
        f"{row.weight:g}",
        _limits(row),
        _amount(row.share, row.resource),
        _amount(row.held, row.resource),
        str(row.running),
        str(row.waiting),
        f"{row.used_s / 3600:.2f} {row.resource} h",
    )


def _limits(row: Standing) -> str:
    words = [f"≥ {row.least:g}"] if row.least else []
    words += [] if row.most is None else [f"≤ {row.most:g}"]
    return " ".join(words) or "none"


def _amount(amount: float, resource: str) -> str:
    return f"{round(amount, 2):g} {resource}"


def _in_all(rows: Sequence[Standing]) -> str:
    held = {resource: sum(row.held for row in rows if row.resource == resource) for resource in ("GPU", "CPU")}
    amounts = " and ".join(_amount(amount, resource) for resource, amount in held.items() if amount) or "nothing"
    waiting = text.count(sum(row.waiting for row in rows), "trial waits", "trials wait")
    return f"{text.count(len(rows), 'sweep')} with {amounts}; {waiting} for room"
