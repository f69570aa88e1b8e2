"""Why a trial has its parameters, and whether its sampler gives them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from sweeper import machine, text
from sweeper.cli.screen import Screen
from sweeper.cli.table import MISSING, Column, Table

if TYPE_CHECKING:
    from sweeper.history import TrialName
    from sweeper.why import Why


def show(name: TrialName, found: Why, screen: Screen) -> None:
    """Print the page."""
    screen.line(Text(f"why {text.printable(str(name))} has its parameters", style="bold"))
    facts: list[tuple[str, str | Text]] = []
    if found.sampler is not None:
        facts.append(("sampler", f"{text.printable(found.sampler)}, seed {found.seed}"))
        facts.append(("had seen", _seen(found)))
    if found.is_random:
        facts.append(("so it", f"drew at random, as it does until {found.startup} trials have finished"))
    if found.given:
        facts.append(("enqueued", ", ".join(map(text.printable, found.given)) + ": given, not chosen"))
    facts.append(("asked again", _verdict(found)))
    screen.facts(facts)
    screen.heading("parameters")
    screen.table(_table(found, screen))


def record(name: TrialName, found: Why) -> dict[str, object]:
    """The same for programs."""
    told = {"is_same": found.is_same, "is_close": found.is_close, "is_random": found.is_random}
    return {"study": name.study, "number": name.number, **machine.record(found), **told}


def _seen(found: Why) -> str:
    parts = [f"{text.count(found.finished, 'trial')} that had finished"]
    parts += [f"{found.running} that ran"] if found.running else []
    parts += [f"{found.waiting} in line"] if found.waiting else []
    return ", ".join(parts)


def _verdict(found: Why) -> Text:
    if found.problem is not None:
        return Text(f"cannot be: {text.printable(found.problem)}", style="yellow")
    if found.is_same:
        return Text("the same point", style="green")
    if found.is_close:
        return Text("the same point but for rounding, as on another machine", style="green")
    return Text("another point: its sampler, or Optuna, is not what it was", style="red")


def _table(found: Why, screen: Screen) -> Table:
    columns = [Column("parameter"), Column("value")]
    rows = [[text.printable(name), screen.value(value)] for name, value in found.params.items()]
    if found.again is not None and not found.is_same:
        columns.append(Column("asked again"))
        for row, name in zip(rows, found.params, strict=True):
            row.append(screen.value(found.again[name]) if name in found.again else MISSING)
    return Table(tuple(columns), tuple(tuple(row) for row in rows))
