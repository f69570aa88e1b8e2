"""`sweeper compare digits/17 digits/3`: what differs between runs, most telling first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from sweeper import answer, machine, text
from sweeper.cli import code_page
from sweeper.cli.option import DEFAULT_STORAGE, Artifacts, Csv, Form, Json, Storage, form, next_commands, quoted
from sweeper.cli.screen import Screen
from sweeper.cli.table import MISSING, Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sweeper.compare import Comparison, Difference, MetricRow
    from sweeper.compare.comparison import Side


def compare(
    trials: Annotated[list[str], typer.Argument(metavar="STUDY/NUMBER...", help="Two trials or more.")],
    all_keys: Annotated[bool, typer.Option("--all", help="Keys in which they agree too.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="How their code differs, line by line.")] = False,
    artifacts: Artifacts = None,
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Show what differs between trials, most telling first, and where their curves part."""
    from sweeper.archive.patch import code_patches
    from sweeper.compare import compare as find
    from sweeper.history import History

    asked = form(json, csv)
    history = History(storage)
    found = find(history, trials)
    rows = found.all if all_keys else found.differences
    if asked is Form.CSV:
        machine.print_csv(list(answer.comparison_rows(found, rows)), columns=("section", "key"))
        return
    patches = code_patches(found, artifacts) if diff else []
    if asked is Form.JSON:
        code = {"code_diffs": [machine.record(patch) for patch in patches]} if diff else {}
        machine.print_json(answer.comparison(found, rows) | code)
        return
    screen = Screen()
    _show(found, rows, screen)
    if diff:
        code_page.show(patches, screen)
    elif found.has_other_code:
        screen.line()
        verb = " ".join(["compare", *(quoted(side.name) for side in found.sides), "--diff"])
        screen.facts(next_commands([verb], storage, history.where))


def _show(found: Comparison, rows: Sequence[Difference], screen: Screen) -> None:
    screen.line(Text(" and ".join(text.printable(side.name) for side in found.sides), style="bold"))
    screen.line(text.printable(found.headline))
    parting = found.parting
    if parting is not None:
        gap = "" if parting.gap is None else f", by {text.number(parting.gap, 3)}"
        screen.line(f"the curves part at step {parting.parts_at}, first in {text.printable(parting.name)}{gap}")
    elif found.metrics:
        screen.line("the curves that they have in common are the same, point by point")
    screen.heading("outcome")
    screen.table(_outcome_table(found, screen))
    if rows:
        screen.heading("keys")
        screen.table(_difference_table(found, rows, screen))


def _outcome_table(found: Comparison, screen: Screen) -> Table:
    sides = found.sides
    columns = (
        Column(""),
        *(Column(text.printable(side.name), is_number=True) for side in sides),
        Column("parts at", is_number=True, gives_way=1),
    )
    rows: list[tuple[str, ...]] = [("state", *(side.trial.state.lower() for side in sides), "")]
    for i, name in enumerate(sides[0].study.objectives):
        rows.append((text.printable(name), *(_value(side, i, screen) for side in sides), ""))
    for metric in found.metrics:
        rows += _metric_rows(metric, screen)
    rows.append(("runtime", *(text.duration(side.run.runtime_s) for side in sides), ""))
    rows.append(("peak memory", *(text.size(side.run.peak_rss_bytes) for side in sides), ""))
    if any(side.run.gpu_seconds is not None for side in sides):
        rows.append(("peak GPU memory", *(text.size(side.run.peak_gpu_memory_bytes) for side in sides), ""))
        rows.append(("time on GPUs", *(text.duration(side.run.gpu_seconds) for side in sides), ""))
        if any(side.per_gpu_hour is not None for side in sides):
            name = text.printable(sides[0].study.objectives[0])
            rows.append((f"{name} per GPU-hour", *_numbers((side.per_gpu_hour for side in sides), screen), ""))
        rows.append(("energy", *(text.energy(side.run.energy_j) for side in sides), ""))
    return Table(columns, tuple(rows))


def _metric_rows(metric: MetricRow, screen: Screen) -> list[tuple[str, ...]]:
    name, parts_at = text.printable(metric.name), "never" if metric.parts_at is None else f"step {metric.parts_at}"
    rows = [(f"{name} last", *_numbers(metric.last, screen), parts_at)]
    if metric.best != metric.last:
        least = "least" if metric.direction == "minimize" else "most"
        rows.append((f"{name} {least}", *_numbers(metric.best, screen), ""))
    return rows


def _numbers(values: Iterable[float | None], screen: Screen) -> tuple[str, ...]:
    return tuple(MISSING if value is None else screen.value(value) for value in values)


def _value(side: Side, i: int, screen: Screen) -> str:
    values = side.trial.values or ()
    return screen.value(values[i]) if i < len(values) else MISSING


def _difference_table(found: Comparison, rows: Sequence[Difference], screen: Screen) -> Table:
    columns = (Column(""), Column("key"), *(Column(text.printable(side.name)) for side in found.sides))
    cells = []
    section = None
    for row in rows:
        shown = row.section if row.section != section else ""
        section = row.section
        cells.append((shown, text.printable(row.key), *(_cell(value, screen) for value in row.values)))
    return Table(columns, tuple(cells))


def _cell(value: Any, screen: Screen) -> str:
    from sweeper.compare import ABSENT

    return MISSING if value is ABSENT else screen.value(value)
