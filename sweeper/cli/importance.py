"""`sweeper importance digits`: which parameters mattered."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweeper import machine
from sweeper.cli import importance_page
from sweeper.cli.option import DEFAULT_STORAGE, Csv, Form, Json, Storage, form
from sweeper.cli.screen import Screen
from sweeper.errors import ConfigError

if TYPE_CHECKING:
    from optuna.study import StudyDirection

    from sweeper.history.question import Question
    from sweeper.importance import Importance, NextSpace

RESAMPLES = 20  # from which the intervals are taken


def importance(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study, as `sweeper ls` names it.")],
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What to explain: an objective, a metric, runtime, peak_rss, peak_gpu_memory, gpu_seconds.",
        ),
    ] = None,
    pairs: Annotated[bool, typer.Option("--pairs", help="Also what parameters do in pairs.")] = False,
    quantile: Annotated[
        float, typer.Option(metavar="Q", help="Only among the best share Q of the trials, as 0.25.")
    ] = 1.0,
    by: Annotated[
        str, typer.Option("--with", metavar="NAMES", help="Further factors: any of seed,gpu,code,node.")
    ] = "",
    ped: Annotated[bool, typer.Option("--ped", help="PED-ANOVA, Optuna's default, beside it.")] = False,
    seed: Annotated[int, typer.Option(metavar="N", min=0, max=2**32 - 1, help="Of the random forest.")] = 0,
    coming: Annotated[bool, typer.Option("--next", help="Print a search space for the next sweep, as YAML.")] = False,
    png: Annotated[
        Path | None,
        typer.Option("--png", metavar="FILE", help="Draw it all on one page, with pairs: a .png, .pdf or .svg."),
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Show which parameters mattered: shares of the variance (fANOVA)."""
    from sweeper.history import History
    from sweeper.history.question import circumstances, question
    from sweeper.importance import advise, affordable_pairs, evaluate, next_space, ped_anova

    asked = form(json, csv)
    if coming and asked is Form.CSV:
        raise ConfigError("--next is given as YAML, or with --json, and not as CSV")
    if png is not None:
        _check_drawable(png)
    history = History(storage)
    what = question(history, history.study(study), metric)
    trials = history.finished(study)
    further = circumstances(history, study, [name.strip() for name in by.split(",") if name.strip()], trials)
    found = evaluate(
        trials,
        target=what.target,
        factors=further.values,
        pairs="all" if pairs else affordable_pairs(trials) if png else (),
        quantile=quantile,
        direction=_direction(what, "--quantile" if quantile != 1 else None),
        resamples=RESAMPLES,
        seed=seed,
    )
    found = dataclasses.replace(found, notes=(*found.notes, *further.notes))
    if png is not None:
        _draw(found, study, what, png)
    if coming:
        _print_next(next_space(found, _direction(what, "--next"), seed=seed), study, asked)
        return
    beside = ped_anova(trials, target=what.target, direction=_direction(what, "--ped")) if ped else None
    advice = advise(found, _direction(what, None), seed=seed) if what.direction else []
    if asked is Form.CSV:
        machine.print_csv(importance_page.csv_records(found, beside), columns=("parameter", "importance", "std"))
    elif asked is Form.JSON:
        machine.print_json(importance_page.as_record(found, beside, advice))
    else:
        importance_page.show(found, Screen(), beside, advice)


def _print_next(space: NextSpace, study: str, asked: Form) -> None:
    if asked is Form.JSON:
        machine.print_json(machine.record(space))
    else:
        print(importance_page.as_yaml(space, study), end="")


def _check_drawable(path: Path) -> None:
    from sweeper.document.ink import check_path

    check_path(path)


def _draw(found: Importance, study: str, what: Question, path: Path) -> None:
    """Draw the page, and say on standard error where it is: standard output may be read by a program."""
    from sweeper.document.importance_page import draw_page
    from sweeper.document.ink import save

    save(draw_page(found, study=study, target=what.name, direction=what.direction), path)
    typer.echo(f"drawn: {path.absolute()}", err=True)


def _direction(what: Question, needed_for: str | None) -> StudyDirection:
    """Which way is better; ConfigError where an option needs to know and nobody has said."""
    from optuna.study import StudyDirection

    if what.direction is None and needed_for is not None:
        raise ConfigError(
            f"{needed_for} has to know which values of {what.name!r} are better, and only objectives say so: "
            "leave out one of the two options"
        )
    return what.direction or StudyDirection.MINIMIZE
