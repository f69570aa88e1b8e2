"""`sweeper show digits`, `sweeper show digits/17`: a study or a trial on one page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sweeper import answer, machine
from sweeper.cli import study_page, trial_page, why_page
from sweeper.cli.option import DEFAULT_STORAGE, Csv, Form, Json, Storage, form
from sweeper.cli.screen import Screen
from sweeper.errors import ConfigError

if TYPE_CHECKING:
    from sweeper.history import History, TrialName


def show(
    name: Annotated[str, typer.Argument(metavar="STUDY[/NUMBER]", help="A study, or one of its trials.")],
    why: Annotated[bool, typer.Option("--why", help="What its choice rested on; its sampler is asked again.")] = False,
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Show a study, or one trial with its metrics and why it failed.

    --csv gives a study's trials, or the points of a trial's metrics. --why is for a trial: which trials its sampler had
    seen, and whether the same parameters come out when it is asked again.
    """
    from sweeper.history import History, TrialName

    asked = form(json, csv)
    history = History(storage)
    found = history.resolve(name)
    if why:
        _show_why(history, TrialName.parse(str(found)), asked)
    elif isinstance(found, str):
        _show_study(history, found, storage, asked)
    else:
        _show_trial(history, found, storage, asked)


def _show_study(history: History, name: str, storage: str, asked: Form) -> None:
    if asked is Form.TEXT:
        study_page.show(history, name, storage, Screen())
    elif asked is Form.JSON:
        machine.print_json(
            answer.study(history, name) | {"trials": [machine.record(row) for row in history.trials(name)]}
        )
    else:
        machine.print_csv(answer.trials(history, name), columns=("number", "state"))


def _show_trial(history: History, name: TrialName, storage: str, asked: Form) -> None:
    if asked is Form.TEXT:
        trial_page.show(history, name, storage, Screen())
    elif asked is Form.JSON:
        machine.print_json(answer.trial(history, name))
    else:
        points = answer.points(history, name)
        machine.print_csv(points, columns=("run", "name", "step", "value", "time"))


def _show_why(history: History, name: TrialName, asked: Form) -> None:
    import optuna

    from sweeper.why import why

    if asked is Form.CSV:
        raise ConfigError("--why is no table: give --json, or neither")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found = why(history, name)
    if asked is Form.JSON:
        machine.print_json(why_page.record(name, found))
    else:
        why_page.show(name, found, Screen())
