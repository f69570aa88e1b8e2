"""`sweeper importance digits`: which parameters mattered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sweeper.cli import importance_page, machine
from sweeper.cli.option import DEFAULT_STORAGE, Csv, Form, Json, Storage, form
from sweeper.cli.question import Question, circumstances, question
from sweeper.cli.screen import Screen
from sweeper.errors import ConfigError

if TYPE_CHECKING:
    from optuna.study import StudyDirection

RESAMPLES = 20  # from which the intervals are taken


def importance(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study, as `sweeper ls` names it.")],
    metric: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What to explain: an objective, a metric, runtime_s, peak_rss_bytes."),
    ] = None,
    pairs: Annotated[bool, typer.Option("--pairs", help="Also what parameters do in pairs.")] = False,
    quantile: Annotated[
        float, typer.Option(metavar="Q", help="Only among the best share Q of the trials, as 0.25.")
    ] = 1.0,
    by: Annotated[str, typer.Option("--with", metavar="NAMES", help="Further factors: seed, node, or seed,node.")] = "",
    ped: Annotated[bool, typer.Option("--ped", help="PED-ANOVA, Optuna's default, beside it.")] = False,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the random forest.")] = 0,
    coming: Annotated[bool, typer.Option("--next", help="Print a search space for the next sweep, as YAML.")] = False,
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Show which parameters mattered: shares of the variance (fANOVA)."""
    from sweeper.history import History
    from sweeper.importance import advise, evaluate, next_space, ped_anova

    asked = form(json, csv)
    if coming and asked is Form.CSV:
        raise ConfigError("--next is given as YAML, or with --json, and not as CSV")
    history = History(storage)
    row = history.study(study)
    what = question(history, row, metric)
    trials = history.finished(study)
    found = evaluate(
        trials,
        target=what.target,
        factors=circumstances(history, row, [name for name in by.split(",") if name], trials),
        pairs="all" if pairs else (),
        quantile=quantile,
        direction=_direction(what, "--quantile" if quantile != 1 else None),
        resamples=RESAMPLES,
        seed=seed,
    )
    if coming:
        space = next_space(found, _direction(what, "--next"), seed=seed)
        if asked is Form.JSON:
            machine.print_json(machine.record(space))
        else:
            print(importance_page.as_yaml(space), end="")
        return
    beside = ped_anova(trials, target=what.target, direction=_direction(what, "--ped")) if ped else None
    if asked is Form.CSV:
        machine.print_csv(importance_page.csv_records(found, beside), columns=("parameter", "importance", "std"))
        return
    advice = advise(found, _direction(what, None), seed=seed) if what.direction else []
    if asked is Form.JSON:
        machine.print_json(importance_page.as_record(found, beside, advice))
    else:
        importance_page.show(found, Screen(), beside, advice)


def _direction(what: Question, needed_for: str | None) -> StudyDirection:
    """Which way is better; ConfigError where an option needs to know and nobody has said."""
    from optuna.study import StudyDirection

    if what.direction == "maximize":
        return StudyDirection.MAXIMIZE
    if what.direction is None and needed_for is not None:
        raise ConfigError(
            f"{needed_for} has to know which values of {what.name!r} are better, and only objectives say so: "
            "leave out one of the two options"
        )
    return StudyDirection.MINIMIZE
