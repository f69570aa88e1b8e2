"""How to run the best trial again: the command, and the config that it had."""

from __future__ import annotations

import shlex
from pathlib import PurePath

import yaml

from sweeper.document.section import Section
from sweeper.document.subject import Subject
from sweeper.history import RunRow


def rerun(subject: Subject) -> Section | None:
    """None where there is no best trial."""
    if not subject.best:
        return None
    best, run = subject.best[0], subject.best_run
    if run is None:
        params = yaml.safe_dump(dict(best.params), sort_keys=False, allow_unicode=True)
        return Section(
            title="Run the best again",
            lead=[f"sweeper did not run trial {best.number}: its parameters are all that is on record."],
            documents=[(f"Parameters of trial {best.number}", params)],
        )
    return Section(
        title="Run the best again",
        commands=[*_reproduction(subject, run), ("The app with its overrides", _command(subject, run))],
        documents=[
            (f"Config of trial {best.number}", yaml.safe_dump(dict(run.config), sort_keys=False, allow_unicode=True))
        ],
    )


def _reproduction(subject: Subject, run: RunRow) -> list[tuple[str, str]]:
    """`sweeper reproduce`, where the code that it would rebuild is on record."""
    if run.code is None:
        return []
    purpose = "From the record alone, with the code, config and seed of then, and a verdict on every point"
    return [(purpose, shlex.join(["sweeper", "reproduce", f"{subject.study.name}/{run.number}"]))]


def _command(subject: Subject, run: RunRow) -> str:
    """The app itself, with the overrides that made this trial's config."""
    return app_command(next((sweep.command for sweep in subject.sweeps if sweep.sweep == run.sweep), ""), run)


def app_command(launched: str, run: RunRow) -> str:
    """The app with the overrides of a run, its script named as in the command that launched the sweep."""
    return shlex.join(["python", _script(launched), *run.overrides])


def _script(command: str) -> str:
    """The app's script as the sweep was launched with it."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    return next((word for word in words if PurePath(word).suffix == ".py"), "SCRIPT")
