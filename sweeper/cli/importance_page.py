"""Importances on a page: bars with their intervals, what to know before believing them, and advice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from sweeper import text
from sweeper.cli.option import quoted
from sweeper.cli.screen import Screen
from sweeper.cli.table import MISSING, Column, Table

if TYPE_CHECKING:
    from sweeper.importance import Advice, Importance, NextSpace

_MOST_PAIRS = 10


def show(
    found: Importance,
    screen: Screen,
    ped: Mapping[str, float] | None = None,
    advice: Sequence[Advice] = (),
) -> None:
    """Print the page. `ped`: PED-ANOVA's shares, to stand beside."""
    from sweeper.importance.confidence import BELIEVABLE

    if found.importances:
        screen.table(_bars(found, ped))
    if found.r2 is not None and found.r2 >= BELIEVABLE:  # below that, a note says so
        screen.line(f"the forest explains {found.r2:.0%} of the variance of trials it has not seen", "dim")
    for note in found.notes:
        screen.line(text.printable(note), "dim")
    if ped is not None:
        screen.line(
            "PED-ANOVA asks what sets the best tenth of the trials apart, the share what moves all values", "dim"
        )
    if found.pairs:
        screen.heading("pairs, beyond what each does alone")
        screen.table(_pairs(found))
    if advice:
        screen.heading("advice")
        screen.block(text.printable(piece.sentence) for piece in advice)


def as_record(found: Importance, ped: Mapping[str, float] | None, advice: Sequence[Advice]) -> dict[str, object]:
    """The same for programs, with all pairs."""
    record = {**found.record(), "advice": [asdict(piece) for piece in advice]}
    return record if ped is None else {**record, "ped_anova": dict(ped)}


def csv_records(found: Importance, ped: Mapping[str, float] | None) -> list[dict[str, object]]:
    """A record for each factor, and for each pair."""
    records: list[dict[str, object]] = []
    for name, share in found.importances.items():
        low, high = found.intervals.get(name, (None, None))
        record = {"parameter": name, "importance": share, "std": found.std[name], "low": low, "high": high}
        records.append(record if ped is None else {**record, "ped_anova": ped.get(name)})
    pairs = found.pairs.items()
    return [
        *records,
        *({"parameter": name, "importance": share, "std": found.pairs_std[name]} for name, share in pairs),
    ]


def as_yaml(space: NextSpace, study: str) -> str:
    """A search space as a file of a Hydra config that goes on from it; JSON's strings are YAML's."""
    named = quoted(f"hydra.sweeper.study_name={study}-next")
    lines = [
        "# @package _global_",
        f"# What to try after {text.printable(study)}: save it as space/next.yaml in the app's config folder and type",
        f"# sweeper launch SCRIPT +space=next {named}",
        *(f"# {text.printable(note)}" for note in space.notes),
    ]
    lines += ["hydra:", "  sweeper:", "    params:" if space.params else "    params: {}"]
    lines += [f"      {json.dumps(name)}: {json.dumps(expression)}" for name, expression in space.params.items()]
    if space.when:
        lines.append("    when:")
    for choice, params in space.when.items():
        lines.append(f"      {json.dumps(choice)}:")
        lines += [f"        {json.dumps(name)}: {json.dumps(expression)}" for name, expression in params.items()]
    return "\n".join(lines) + "\n"


def _bars(found: Importance, ped: Mapping[str, float] | None) -> Table:
    columns = [Column("parameter"), Column("share", is_number=True)]
    if found.intervals:
        columns.append(Column("90% interval", is_number=True, gives_way=2))
    if ped is not None:
        columns.append(Column("PED-ANOVA", is_number=True))
    columns.append(Column("", gives_way=1))
    rows = []
    for name, share in found.importances.items():
        cells = [text.printable(name), f"{share:.1%}"]
        if found.intervals:
            low, high = found.intervals.get(name, (None, None))
            cells.append(MISSING if low is None or high is None else f"{low:.0%} … {high:.0%}")
        if ped is not None:
            cells.append(f"{ped[name]:.1%}" if name in ped else MISSING)
        rows.append((*cells, text.bar(share)))
    return Table(tuple(columns), tuple(rows))


def _pairs(found: Importance) -> Table:
    columns = (Column("pair"), Column("share", is_number=True), Column("", gives_way=1))
    shown = list(found.pairs.items())[:_MOST_PAIRS]
    rows = [(text.printable(name.replace("*", " × ")), f"{share:.1%}", text.bar(share)) for name, share in shown]
    return Table(columns, tuple(rows))
