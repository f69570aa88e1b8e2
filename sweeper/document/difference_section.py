"""What differs: between the app's defaults and the best trial, and among the best trials beside their parameters."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from sweeper import text
from sweeper.compare import ABSENT, Difference, compare, config_differences
from sweeper.document.section import Section, Sheet
from sweeper.document.subject import Subject

MOST_KEYS = 40
COMPARED = 4  # of the best trials


def against_default(subject: Subject) -> Section | None:
    """None where the run of the best trial or the defaults of its sweep are not on record."""
    run = subject.best_run
    defaults = next((sweep.defaults for sweep in subject.sweeps if run and sweep.sweep == run.sweep), {})
    if run is None or not defaults:
        return None
    found = config_differences([defaults, run.config], list(subject.best[0].params))
    rows = [row for row in found if not row.is_equal]
    title = "Best against the default"
    if not rows:
        return Section(title=title, lead=[f"Trial {run.number} has the app's own defaults."])
    return Section(
        title=title,
        lead=[f"What trial {run.number} sets otherwise than the app does by itself; all other keys are equal."],
        sheets=[
            Sheet(("key", "default", f"trial {run.number}"), [(row.key, *_cells(row)) for row in rows[:MOST_KEYS]])
        ],
        notes=_left_out(rows),
    )


def among_best(subject: Subject) -> Section | None:
    """Whether the best trials can be compared at all: their code, data, seeds, packages, hardware; None for one."""
    rows = [row for row in subject.best if row.run is not None][:COMPARED]
    if len(rows) < 2:
        return None
    names = [f"{subject.study.name}/{row.number}" for row in rows]
    found = compare(subject.history, names)
    differing = [row for row in found.differences if not row.is_param]
    columns = ("", "key", *(f"trial {row.number}" for row in rows))
    told = [(row.section, row.key, *_cells(row)) for row in differing[:MOST_KEYS]]
    parting = found.parting
    parted = [] if parting is None else [f"Their curves part at step {parting.parts_at}, first in {parting.name}."]
    return Section(
        title="What else differs among the best",
        lead=[
            f"Beside their parameters, of the {len(rows)} best trials: {found.headline}.",
            *parted,
        ],
        sheets=[Sheet(columns, told)] if told else [],
        notes=_left_out(differing),
        commands=[("All of it, or with --diff the code", shlex.join(["sweeper", "compare", *names, "--all"]))],
    )


def _cells(row: Difference) -> list[str]:
    """Short, but never so short that what differs looks alike."""
    short = ["–" if value is ABSENT else text.value(value) for value in row.values]
    return short if len(set(short)) > 1 else [text.exact(value) for value in row.values]


def _left_out(rows: Sequence[Difference]) -> list[str]:
    return [f"{text.count(len(rows) - MOST_KEYS, 'more key')} differ."] if len(rows) > MOST_KEYS else []
