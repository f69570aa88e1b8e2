"""Many processes at one database: numbers without gaps, exact budgets, and every acknowledged write there."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from sweeper.record import Storage
from tests.record.conftest import PostgresServer

pytestmark = pytest.mark.slow

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["sweeper.record.storage", "optuna", "psycopg", "alembic.command"])


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that nobody has opened yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new.db"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.url_of(server.create_database())


def acknowledge(path: Path, **what: Any) -> None:
    """One line, appended whole."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "wb", 0) as file:
        file.write(json.dumps(what).encode() + b"\n")


def acknowledged(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def open_study(url: str) -> tuple[Storage, optuna.Study]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = Storage(url)
    study = optuna.create_study(
        storage=storage,
        study_name="shared",
        load_if_exists=True,
        sampler=optuna.samplers.RandomSampler(seed=os.getpid()),
    )
    return storage, study


def work(study: optuna.Study, trial: optuna.Trial, acks: Path) -> None:
    x = trial.suggest_float("x", 0.0, 1.0)
    trial.report(x / 2, 1)
    trial.set_user_attr("pid", os.getpid())
    study.tell(trial, x)
    acknowledge(acks, number=trial.number, x=x, pid=os.getpid())


def claim_until_full(url: str, acks: Path, limit: int) -> None:
    storage, study = open_study(url)
    while (trial_id := storage.claim_trial_within(study._study_id, limit)) is not None:
        work(study, optuna.Trial(study, trial_id), acks)
    storage.close()


def ask_some(url: str, acks: Path, count: int) -> None:
    storage, study = open_study(url)
    for _ in range(count):
        work(study, study.ask(), acks)
    storage.close()


def ask_without_end(url: str, acks: Path, _: int) -> None:
    study = open_study(url)[1]
    while True:
        work(study, study.ask(), acks)


def start(count: int, target: Callable[[str, Path, int], None], *arguments: Any) -> list[Any]:
    processes = [_CONTEXT.Process(target=target, args=arguments) for _ in range(count)]
    for process in processes:
        process.start()
    return processes


def read_with_optuna(url: str) -> list[optuna.trial.FrozenTrial]:
    """What Optuna's own storage reads."""
    storage = optuna.storages.RDBStorage(for_optuna(url))
    trials = optuna.load_study(study_name="shared", storage=storage).get_trials()
    storage.remove_session()
    storage.engine.dispose()
    return trials


def for_optuna(url: str) -> str:
    return url.replace("postgresql:", "postgresql+psycopg:")


def check_acknowledged(url: str, acks: Path) -> list[optuna.trial.FrozenTrial]:
    """Every acknowledged trial is there as it was told, and numbers have no gap; returns all trials."""
    trials = read_with_optuna(url)
    assert [trial.number for trial in trials] == list(range(len(trials)))
    told = acknowledged(acks)
    assert len({one["number"] for one in told}) == len(told)
    for one in told:
        trial = trials[one["number"]]
        assert trial.state == TrialState.COMPLETE
        assert (trial.params, trial.values, trial.intermediate_values, trial.user_attrs) == (
            {"x": one["x"]},
            [one["x"]],
            {1: one["x"] / 2},
            {"pid": one["pid"]},
        )
    return trials


def test_sixteen_processes_fill_a_study_exactly(new_url: str, tmp_path: Path) -> None:
    acks = tmp_path / "acks"
    limit = 120
    for process in start(16, claim_until_full, new_url, acks, limit):
        process.join()
        assert process.exitcode == 0
    trials = check_acknowledged(new_url, acks)
    assert len(trials) == len(acknowledged(acks)) == limit
    assert len({one["pid"] for one in acknowledged(acks)}) > 1


def test_waiting_trials_are_claimed_once_and_count_when_they_are(new_url: str, tmp_path: Path) -> None:
    acks = tmp_path / "acks"
    storage, study = open_study(new_url)
    for place in range(20):
        study.enqueue_trial({"x": place / 32})
    for process in start(6, claim_until_full, new_url, acks, 30):
        process.join()
        assert process.exitcode == 0
    assert sorted(one["x"] for one in acknowledged(acks) if one["number"] < 20) == [n / 32 for n in range(20)]
    assert storage.get_n_trials(study._study_id) == 30
    assert storage.claim_trial_within(study._study_id, 30) is None
    storage.close()


def test_our_processes_and_optunas_own_share_a_study(new_url: str, tmp_path: Path) -> None:
    acks = tmp_path / "acks"
    open_study(new_url)[0].close()
    ours = start(3, ask_some, new_url, acks, 10)
    theirs = start(3, ask_some_with_optuna, for_optuna(new_url), acks, 5)
    for process in ours + theirs:
        process.join()
        assert process.exitcode == 0
    assert len(check_acknowledged(new_url, acks)) == 45


def ask_some_with_optuna(url: str, acks: Path, count: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    connect = {"timeout": 60} if url.startswith("sqlite") else {}
    storage = optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": connect})
    study = optuna.load_study(study_name="shared", storage=storage)
    for _ in range(count):
        work(study, study.ask(), acks)


def test_what_a_killed_process_was_told_is_there(new_url: str, tmp_path: Path) -> None:
    acks = tmp_path / "acks"
    acks.touch()
    fate = random.Random(7)
    for _ in range(4):
        before = len(acknowledged(acks))
        processes = start(3, ask_without_end, new_url, acks, 0)
        while len(acknowledged(acks)) < before + fate.randrange(5, 20):
            os.sched_yield()
        for process in processes:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
    trials = check_acknowledged(new_url, acks)
    finished = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    assert len(acknowledged(acks)) <= len(finished) <= len(acknowledged(acks)) + 12
