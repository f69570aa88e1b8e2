"""A study on one page: how far it is, its best trials, its space, its launches, its newest trials."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from sweeper import text
from sweeper.cli.best import best_table, nothing_yet
from sweeper.cli.ls import goal
from sweeper.cli.option import next_commands, quoted
from sweeper.cli.screen import Screen, state
from sweeper.cli.table import MISSING, Column, Table

if TYPE_CHECKING:
    from sweeper.history import History, StudyRow, SweepRow, TrialRow

_BEST = 5
_NEWEST = 10
_SWEEPS = 3


def show(history: History, name: str, storage: str, screen: Screen) -> None:
    """Print the page; `storage` is the URL as the user gave it."""
    study = history.study(name)
    failures = history.failures(name)
    shown = text.printable(name)
    screen.line(Text.assemble((shown, "bold"), f"  {goal(study)}"))
    screen.facts(_facts(history, study, failures))
    best = history.best(name, _BEST)
    if best:
        screen.heading("best trials" if len(study.directions) == 1 else "on the Pareto front")
        screen.table(best_table(study, best, screen))
    space = history.space(name)
    if space:
        screen.heading("search space")
        screen.table(_space_table(space, screen))
    sweeps = history.sweeps(name)
    if sweeps:
        screen.heading("launches" if len(sweeps) <= _SWEEPS else f"last {_SWEEPS} of {len(sweeps)} launches")
        for sweep in sweeps[-_SWEEPS:]:
            screen.block([_launched(sweep)])
            screen.block([text.printable(sweep.command)], indent=4)
    newest = history.trials(name, newest=_NEWEST)
    if newest:
        screen.heading("trials" if study.total <= _NEWEST else f"newest of {study.total} trials")
        screen.table(_trials_table(study, newest, screen))
        screen.line()
        verbs = [f"best {quoted(name)}", f"show {quoted(f'{name}/{newest[-1].number}')}"]
        screen.facts(next_commands(verbs, storage, history.where))


def _facts(history: History, study: StudyRow, failures: Mapping[str, int]) -> list[tuple[str, str | Text]]:
    now = time.time()
    facts: list[tuple[str, str | Text]] = [("trials", counts(study, failures))]
    if not study.counts["COMPLETE"]:
        facts.append(("best", nothing_yet(study)))
    if study.started_at is not None:
        started = f"{text.moment(study.started_at)}, last activity {text.ago(study.last_activity_at, now)}"
        facts.append(("started", started))
    looks = history.test_looks(study.name)
    if looks.looks:
        facts.append(("test data", text.looks(looks.looks, looks.trials)))
    facts.append(("database", text.printable(history.where)))
    return facts


def counts(study: StudyRow, failures: Mapping[str, int]) -> Text:
    """`20: 16 complete, 1 pruned, 3 fail (2 error, 1 oom)`."""
    line = Text(str(study.total))
    separator = ": "
    for name, count in study.counts.items():
        if count:
            line.append(separator)
            line.append_text(Text(f"{count} ").append_text(state(name)))
            separator = ", "
            if name == "FAIL" and failures:
                kinds = ", ".join(f"{n} {text.printable(kind)}" for kind, n in failures.items())
                line.append(f" ({kinds})")
    return line


def _space_table(space: Mapping[str, Mapping[str, object]], screen: Screen) -> Table:
    columns = (Column("parameter"), Column("range"))
    rows = ((text.printable(name), text.domain(found, screen.value)) for name, found in space.items())
    return Table(columns, tuple(rows))


def _launched(sweep: SweepRow) -> str:
    took = text.duration(sweep.ended_at - sweep.started_at) if sweep.ended_at is not None else "not ended"
    who = f"{text.printable(sweep.user)}@{text.printable(sweep.host)}"
    state = sweep.outcome or ("running" if sweep.is_alive else "its driver is gone: `sweeper resume` goes on")
    outcome = f", {text.printable(state)}"
    return f"{text.moment(sweep.started_at)}, {took}{outcome}, by {who}:"


def _trials_table(study: StudyRow, trials: Sequence[TrialRow], screen: Screen) -> Table:
    params = list(dict.fromkeys(name for trial in trials for name in trial.params))
    objectives = study.objectives
    columns = (
        Column("trial"),
        Column("state"),
        *(Column(text.printable(name), is_number=True) for name in objectives),
        Column("took", is_number=True, gives_way=1),
        *(Column(text.printable(name), is_param=True) for name in params),
    )
    now = time.time()
    rows: list[tuple[str | Text, ...]] = []
    for trial in trials:
        values = [screen.value(value) for value in trial.values or ()]
        took = None
        if trial.started_at is not None:
            took = (trial.ended_at or now) - trial.started_at
        rows.append(
            (
                f"{text.printable(study.name)}/{trial.number}",
                _outcome(trial),
                *(values + [MISSING] * (len(objectives) - len(values))),
                text.duration(took),
                *(screen.value(trial.params[name]) if name in trial.params else MISSING for name in params),
            )
        )
    return Table(columns, tuple(rows))


def _outcome(trial: TrialRow) -> Text:
    shown = state(trial.state)
    return shown.append(f" {text.printable(trial.failure)}") if trial.failure else shown
