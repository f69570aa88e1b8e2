"""`sweeper enqueue`: a point that is tried before what the sampler chooses."""

from __future__ import annotations

import contextlib
import json as json_
from typing import TYPE_CHECKING, Annotated

import typer

from sweeper import machine
from sweeper.cli.option import DEFAULT_STORAGE, Json, Storage, Study
from sweeper.cli.screen import Screen
from sweeper.errors import ConfigError
from sweeper.text import domain, printable

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from sweeper.history import History


def enqueue(
    study: Study,
    point: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE…", help="Parameters; the sampler chooses the rest.")
    ],
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
) -> None:
    """Put a known point in line: the next slot that frees tries it. Whether the study is being swept or not."""
    import optuna

    from sweeper import record
    from sweeper.enqueue import misfits
    from sweeper.history import History
    from sweeper.record.lease import holders

    history = History(storage)
    distributions = _distributions(history, study)
    ranges = {name: domain(given) for name, given in history.space(study).items()}
    parsed = dict(_assignment(text, distributions) for text in point)
    if problems := list(misfits(parsed, distributions, ranges)):
        raise ConfigError("\n".join(problems))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with contextlib.closing(record.Storage(storage)) as database:
        loaded = optuna.load_study(study_name=study, storage=database)
        loaded.enqueue_trial(parsed)
        trials = loaded.get_trials(deepcopy=False)
        alive, _ = database.ask(lambda connection: holders(connection, study))
    begun = sum(trial.state.name != "WAITING" for trial in trials)
    target = max((one.n_trials or 0 for one in alive), default=None)
    name = f"{study}/{trials[-1].number}"
    if json:
        machine.print_json({"trial": name, "params": parsed, "begun": begun, "target": target})
    else:
        Screen().line(f"{printable(name)} is in line; {_prospect(printable(study), begun, target)}")


def _prospect(study: str, begun: int, target: int | None) -> str:
    if target is None:
        return f"no driver is at work: `sweeper resume {study}` tries it"
    if begun >= target:
        return f"but the study has begun all of its {target} trials: `sweeper extend {study} +1` makes room for it"
    return "the next slot that frees tries it"


def _distributions(history: History, study: str) -> dict[str, BaseDistribution]:
    from optuna.distributions import json_to_distribution

    found = {name: json_to_distribution(json_.dumps(given)) for name, given in history.space(study).items()}
    if not found:
        raise ConfigError(
            f"{study!r} has no trial yet that says what its parameters are; give the point to the launch, as "
            "hydra.sweeper.enqueue=[{name: value}]"
        )
    return found


def _assignment(text: str, distributions: dict[str, BaseDistribution]) -> tuple[str, object]:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    name, assigned, _ = text.partition("=")
    if not assigned:
        raise ConfigError(f"{text!r} is no NAME=VALUE; the parameters are {', '.join(distributions)}")
    try:
        return name, OverridesParser.create().parse_override(f"x={text[len(name) + 1 :]}").value()
    except HydraException as error:
        raise ConfigError(f"{text!r} cannot be read: {str(error).splitlines()[0]}") from error
