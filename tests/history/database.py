"""Databases for tests: studies written by Optuna, our tables filled by plain inserts."""

from __future__ import annotations

import functools
import json
import math
import tempfile
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study.study import ObjectiveFuncType
from optuna.trial import TrialState, create_trial
from sqlalchemy import create_engine, event, insert

from sweeper.record import tables

DISTRIBUTIONS = {
    "optimizer.lr": FloatDistribution(1e-5, 1e-1, log=True),
    "model.depth": IntDistribution(1, 8),
    "model.act": CategoricalDistribution(["relu", None, True, 3]),
}
STARTED = 1_700_000_000.0


@functools.cache
def _empty() -> bytes:
    """A database as Optuna creates it, which takes it longer than most tests take."""
    with tempfile.TemporaryDirectory() as folder:
        storage = optuna.storages.RDBStorage(f"sqlite:///{folder}/empty.db")
        storage.engine.dispose()
        return Path(folder, "empty.db").read_bytes()


class Written:
    """A database that tests fill."""

    def __init__(self, url: str) -> None:
        self.url = url
        with_driver = url.replace("postgresql://", "postgresql+psycopg://")
        is_made = url.startswith("sqlite")
        if is_made:
            Path(url.removeprefix("sqlite:///")).write_bytes(_empty())
        self.storage = optuna.storages.RDBStorage(
            with_driver, skip_compatibility_check=is_made, skip_table_creation=is_made
        )
        if is_made:  # no test cuts the power, and waiting for the disk is most of what they take
            event.listen(self.storage.engine, "connect", lambda c, _: c.execute("PRAGMA synchronous = OFF"))
            self.storage.engine.dispose()
        self.engine = create_engine(with_driver)

    def study(
        self, name: str, directions: Sequence[str] = ("maximize",), metric_names: Sequence[str] = ()
    ) -> optuna.Study:
        study = optuna.create_study(study_name=name, storage=self.storage, directions=list(directions))
        if metric_names:
            study.set_metric_names(list(metric_names))
        return study

    def our_tables(self) -> None:
        tables.metadata.create_all(self.engine)

    def sweep(self, study: str, **given: object) -> str:
        row = {
            "sweep": uuid.uuid4().hex,
            "study": study,
            "command": "python train.py -m",
            "settings": "{}",
            "space": json.dumps({"optimizer.lr": "tag(log, interval(1e-5, 1e-1))"}),
            "sampler": "TPESampler",
            "pruner": "NopPruner",
            "user": "ada",
            "host": "node-a",
            "pid": 1,
            "folder": "/data/multirun",
            "started_at": STARTED,
            "ended_at": STARTED + 60,
            "outcome": "finished",
        }
        with self.engine.begin() as connection:
            connection.execute(insert(tables.sweeps), row | given)
        return str((row | given)["sweep"])

    def run(
        self,
        study: str,
        number: int,
        *,
        attempt: int = 0,
        curves: Mapping[str, Iterable[float]] | None = None,
        **given: object,
    ) -> str:
        """Insert a run and its metrics, points counted from step 0; the run's uuid."""
        row = {
            "run": uuid.uuid4().hex,
            "sweep": "0" * 32,
            "study": study,
            "number": number,
            "attempt": attempt,
            "state": "COMPLETE",
            "config": json.dumps({"optimizer": {"lr": 0.1}, "seed": number}),
            "overrides": json.dumps(["optimizer.lr=0.1"]),
            "seed": 1000 + number,
            "folder": f"/data/multirun/{number}",
            "node": "node-a",
            "pid": 77,
            "created_at": STARTED,
            "started_at": STARTED + 1,
            "ended_at": STARTED + 10,
            "runtime_s": 9.0,
            "peak_rss_bytes": 2**29,
        } | given
        with self.engine.begin() as connection:
            (run_id,) = connection.execute(insert(tables.runs), row).inserted_primary_key
            points = [
                {
                    "run_id": run_id,
                    "name": name,
                    "step": step,
                    "value": None if math.isnan(value) else value,
                    "time": STARTED + step,
                    "seq": step,
                }
                for name, values in (curves or {}).items()
                for step, value in enumerate(values)
            ]
            if points:
                connection.execute(insert(tables.metrics), points)
        return str(row["run"])

    def close(self) -> None:
        self.storage.remove_session()
        self.storage.engine.dispose()
        self.engine.dispose()


def add(
    study: optuna.Study,
    *values: float,
    state: TrialState = TrialState.COMPLETE,
    constraints: Mapping[str, float] | None = None,
    lr: float = 1e-3,
    act: object = None,
) -> None:
    """Add a trial as Optuna would have run it."""
    study.add_trial(
        create_trial(
            state=state,
            values=list(values) or None,
            params={"optimizer.lr": lr, "model.depth": 3, "model.act": act},
            distributions=DISTRIBUTIONS,
            user_attrs={"note": "by hand"},
            intermediate_values={0: 0.5, 1: math.inf, 2: math.nan} if state is TrialState.PRUNED else None,
            constraints=dict(constraints) if constraints else None,
        )
    )


def optimize(study: optuna.Study, objective: ObjectiveFuncType, n_trials: int) -> None:
    """As `study.optimize`, in memory: a database takes some commits for each trial; with the same values each time."""
    apart = optuna.create_study(directions=study.directions, sampler=optuna.samplers.RandomSampler(seed=0))
    apart.optimize(objective, n_trials=n_trials)
    study.add_trials(apart.trials)


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder}/sweeper.db"


def digits(written: Written, folder: Path) -> None:
    """The study that most tests look at: ten trials of every fate, with runs, metrics, a log of a failure."""
    study = written.study("digits", metric_names=("val/accuracy",))
    written.our_tables()
    written.sweep("digits")
    for number in range(6):
        accuracy = 0.9 + number / 100
        add(study, accuracy, lr=10.0 ** -(number % 4 + 1))
        written.run("digits", number, curves={"loss": [1.0, 0.5, 0.1 * number], "val/accuracy": [0.5, accuracy]})
    add(study, state=TrialState.PRUNED)
    written.run("digits", 6, state="PRUNED", curves={"loss": [1.0, math.nan]})
    add(study, state=TrialState.FAIL)
    error = "ValueError: learning rate too high"
    written.run("digits", 7, state="FAIL", failure="crashed", error="killed by signal 9")
    written.run(
        "digits",
        7,
        attempt=1,
        state="FAIL",
        failure="error",
        error=error,
        traceback=f"Traceback (most recent call last):\n  in main\n{error}",
        folder=str(folder),
    )
    add(study, state=TrialState.FAIL)
    written.run("digits", 8, state="FAIL", failure="oom", error="out of memory")
    add(study, state=TrialState.RUNNING)
    written.run("digits", 9, state="RUNNING", ended_at=None, runtime_s=None)
    (folder / "trial.log").write_text("".join(f"epoch {i}\n" for i in range(100)))
