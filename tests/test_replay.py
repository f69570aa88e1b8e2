"""Journals and spools that never reached the database are taken in, once, and trials of dead drivers are settled."""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from sweeper.errors import ConfigError, NotFound, StorageError
from sweeper.record import Record, Storage
from sweeper.record.change import State
from sweeper.record.optuna_rows import utc_now
from sweeper.record.process import identity
from sweeper.record.spool import Spool
from sweeper.record.tables import sweeps
from sweeper.replay import Replayed, replay
from sweeper.run.journal import Journal, journal_path
from sweeper.trial import Ended, Event, Measured, Started
from tests.record.rows import everything
from tests.record.samples import NO_PROCESS, make_spec, make_sweep

RUN = "a" * 32
LIFE: tuple[Event, ...] = (
    Started(RUN, 0, 10.0, "node", 99),
    Measured(RUN, 1, 11.0, 0, {"loss": 0.5, "acc": math.nan}),
    Measured(RUN, 2, 12.0, 1, {"loss": 0.25}),
    Ended(RUN, 3, 13.0, TrialState.COMPLETE, (0.25,), runtime_s=3.0),
)


def write_journal(folder: Path, run: str, events: tuple[Event, ...]) -> None:
    journal = Journal(journal_path(folder, run))
    for event in events:
        journal.append(event)
    journal.close()


@pytest.fixture
def url(sqlite_url: str, tmp_path: Path) -> str:
    """A database whose driver died when it had heard of the start of trial 0 alone."""
    with closing(Storage(sqlite_url)) as storage:
        record = Record(storage)
        study = optuna.create_study(storage=storage, study_name="digits")
        record.sweep_opened(make_sweep(folder=str(tmp_path / "sweep"))).result()
        trial = optuna.Trial(study, storage.claim_trial_within(study._study_id, 10) or 0)
        trial.suggest_float("lr", 0, 1)
        record.run_opened("s" * 32, make_spec(folder=str(tmp_path / "sweep" / "0"))).result()
        record.heard(LIFE[:1]).result()
        storage.ask(lambda connection: connection.execute(sweeps.update().values(process=NO_PROCESS)).close())
    write_journal(tmp_path / "sweep" / "0", RUN, LIFE)
    return sqlite_url


def contents(url: str) -> object:
    with closing(Storage(url)) as storage:
        return everything(storage)


def trial_of(url: str) -> optuna.trial.FrozenTrial:
    with closing(Storage(url)) as storage:
        (trial,) = optuna.load_study(storage=storage, study_name="digits").trials
        return trial


def test_what_the_driver_did_not_hear_is_taken_in_and_its_trial_is_told(url: str, tmp_path: Path) -> None:
    assert replay(tmp_path / "sweep", url) == Replayed(runs=1, events=4, spools=0, unknown=())
    trial = trial_of(url)
    assert (trial.state, trial.values) == (TrialState.COMPLETE, [0.25])
    with closing(Storage(url)) as storage:
        points = storage.ask(
            lambda c: c.exec_driver_sql("SELECT name, step, value, seq FROM sweeper_metrics ORDER BY 1, 2").all()
        )
        assert points == [("acc", 0, None, 1), ("loss", 0, 0.5, 1), ("loss", 1, 0.25, 2)]


def test_twice_changes_nothing(url: str, tmp_path: Path) -> None:
    first = replay(tmp_path, url)
    before = contents(url)
    assert replay(tmp_path, url) == first
    assert contents(url) == before


def test_a_journal_without_an_end_gives_its_points_and_its_trial_goes_back_in_line(url: str, tmp_path: Path) -> None:
    path = journal_path(tmp_path / "sweep" / "0", RUN)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rfind(b"\n", 0, -1) - 3])  # killed in the middle of its last point
    replay(tmp_path, url)
    assert trial_of(url).state == TrialState.WAITING
    with closing(Storage(url)) as storage:
        assert storage.ask(lambda c: c.exec_driver_sql("SELECT count(*) FROM sweeper_metrics").scalar()) == 2


def test_runs_of_another_database_are_named_and_leave_nothing(url: str, tmp_path: Path) -> None:
    stranger = "b" * 32
    write_journal(tmp_path / "sweep" / "1", stranger, (Started(stranger, 0, 10.0, "node", 99),))
    found = replay(tmp_path, url)
    assert (found.runs, found.unknown) == (1, (str(journal_path(tmp_path / "sweep" / "1", stranger)),))


def test_a_spool_is_taken_into_its_sweeps_database_alone(url: str, tmp_path: Path) -> None:
    for sweep in ("s" * 32, "t" * 32):
        spool = Spool(tmp_path / "sweep" / ".sweeper" / f"spool-{sweep}.jsonl")
        spool.append([State(trial_of(url)._trial_id, TrialState.COMPLETE, (float(sweep == "s" * 32),), utc_now())])
        spool.close()
    assert replay(tmp_path, url).spools == 1
    assert trial_of(url).values == [1.0]
    assert [path.name for path in tmp_path.glob("**/spool-*")] == [f"spool-{'t' * 32}.jsonl"]


def test_a_driver_that_is_alive_keeps_its_trials(url: str, tmp_path: Path) -> None:
    with closing(Storage(url)) as storage:
        storage.ask(lambda connection: connection.execute(sweeps.update().values(process=identity())).close())
    replay(tmp_path, url)
    assert trial_of(url).state == TrialState.RUNNING
    with closing(Storage(url)) as storage:
        assert storage.ask(lambda c: c.exec_driver_sql("SELECT count(*) FROM sweeper_metrics").scalar()) == 3


def test_folders_and_databases_that_are_not_there(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no folder: name the folder of a sweep"):
        replay(tmp_path / "nowhere", url)
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match="there is no journal under"):
        replay(tmp_path / "empty", url)
    with pytest.raises(StorageError, match="does not exist"):
        replay(tmp_path, f"sqlite:///{tmp_path}/new.db")
    assert not (tmp_path / "new.db").exists()
