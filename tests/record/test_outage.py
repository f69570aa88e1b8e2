"""The database out of reach: writes wait in order, reads are answered from memory, and nothing is lost or doubled."""

from __future__ import annotations

import multiprocessing
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from sweeper.errors import StorageError
from sweeper.record import Record, Storage, database, ledger, link, outage, writer
from sweeper.record.tables import metrics, runs, sweeps
from tests.record.conftest import PostgresServer, new_server
from tests.record.proxy import Proxy
from tests.record.rows import everything, rows
from tests.record.samples import LIFE, NO_PROCESS, make_spec, make_sweep

_CONTEXT = multiprocessing.get_context("forkserver")


class Trouble:
    """A database that can be put out of reach."""

    url: str
    begin: Callable[[], None]
    end: Callable[[], None]


class LockedFile(Trouble):
    """Another process keeps SQLite's lock."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)

    def begin(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def end(self) -> None:
        self._connection.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()


class CutNetwork(Trouble):
    """No connection to the server holds."""

    def __init__(self, server: PostgresServer, name: str) -> None:
        self._proxy = Proxy(Path(server.folder, ".s.PGSQL.5432"))
        self.url = f"postgresql://sweeper@127.0.0.1:{self._proxy.port}/{name}?sslmode=disable"
        self.begin = self._proxy.go_down
        self.end = self._proxy.come_up

    def close(self) -> None:
        self._proxy.__exit__()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def trouble(request: pytest.FixtureRequest) -> Iterator[Trouble]:
    if request.param == "sqlite":
        found: LockedFile | CutNetwork = LockedFile(request.getfixturevalue("sqlite_url"))
    else:
        server = request.getfixturevalue("postgres_server")
        template = request.getfixturevalue("_postgres_template")
        found = CutNetwork(server, server.create_database(template))
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "_BLIP_S", 0.0)
    monkeypatch.setattr(link, "_REST_S", 0.0)
    monkeypatch.setattr(database, "_BUSY_MS", 20)
    for module in (writer, ledger):
        monkeypatch.setattr(module, "FAREWELL_S", 0.0)


def until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.005)


def test_writes_wait_in_order_and_reads_go_on(trouble: Trouble, tmp_path: Path) -> None:
    storage = Storage(trouble.url)
    record = Record(storage)
    study = optuna.create_study(storage=storage, study_name="digits")
    trial = study.ask()
    trial.suggest_float("x", 0.0, 1.0)
    record.sweep_opened(make_sweep(folder=str(tmp_path))).result()
    record.run_opened("s" * 32, make_spec()).result()
    trouble.begin()
    heard = record.heard(LIFE)
    telling = threading.Thread(target=study.tell, args=(trial, 0.5))
    telling.start()
    until(lambda: storage.health().waiting >= 2 and storage.health().reason is not None)
    assert study.get_trials(deepcopy=False)[0].state == TrialState.RUNNING
    assert not heard.done()
    spool = tmp_path / ".sweeper" / f"spool-{'s' * 32}.jsonl"
    until(spool.exists)
    trouble.end()
    heard.result()
    telling.join()
    assert study.trials[0].values == [0.5]
    assert rows(storage, runs)[0]["state"] == "COMPLETE"
    assert (storage.health().outage_s, storage.health().reason, storage.health().waiting) == (0.0, None, 0)
    assert not spool.exists()
    storage.close()


def test_no_new_trials_after_the_limit(trouble: Trouble) -> None:
    storage = Storage(trouble.url)
    record = Record(storage, outage_limit_s=0.05)
    assert record.takes_trials()
    trouble.begin()
    heard = record.sweep_opened(make_sweep())
    until(lambda: not record.takes_trials())
    trouble.end()
    heard.result()
    assert record.takes_trials()
    storage.close()


@pytest.mark.slow
def test_closing_leaves_what_waits_in_the_spool_for_the_next_driver(trouble: Trouble, tmp_path: Path) -> None:
    storage = Storage(trouble.url)
    record = Record(storage)
    study = optuna.create_study(storage=storage, study_name="digits")
    trial = study.ask()
    record.sweep_opened(make_sweep(folder=str(tmp_path))).result()
    record.run_opened("s" * 32, make_spec()).result()
    trouble.begin()
    trial.set_user_attr("note", "kept")
    heard = record.heard(LIFE)
    failed: list[BaseException] = []

    def tell() -> None:
        try:
            study.tell(trial, 0.25)
        except StorageError as error:
            failed.append(error)

    telling = threading.Thread(target=tell)
    telling.start()
    ended = record.sweep_ended("s" * 32, "stopped")
    until(lambda: storage.health().waiting == 4 and storage.health().reason is not None)
    record.close()
    storage.close()
    telling.join()
    for error in (heard.exception(), ended.exception(), *failed):
        assert isinstance(error, StorageError) and "spool-" in str(error)
    assert len(failed) == 1
    trouble.end()

    second = Storage(trouble.url)
    dead = rows(second, runs)
    assert dead[0]["state"] == "RUNNING"
    _declare_dead(second)
    assert Record(second).orphans("digits") == []
    (told,) = second.get_all_trials(study._study_id)
    assert (told.state, told.values, told.user_attrs) == (TrialState.COMPLETE, [0.25], {"note": "kept"})
    assert rows(second, runs)[0]["state"] == "COMPLETE"
    assert len(rows(second, metrics)) == 6
    before = everything(second)
    assert Record(second).orphans("digits") == []
    assert everything(second) == before
    second.close()


def _declare_dead(storage: Storage) -> None:
    """What the next driver finds, and does, when this one is gone."""
    storage.ask(lambda connection: connection.execute(sweeps.update().values(process=NO_PROCESS)).close())
    Record(storage).sweep_opened(make_sweep(sweep="t" * 32)).result()


def test_without_a_spool_closing_says_that_writes_are_lost(trouble: Trouble) -> None:
    storage = Storage(trouble.url)
    record = Record(storage)
    trouble.begin()
    ended = record.sweep_ended("s" * 32, "finished")
    until(lambda: storage.health().reason is not None)
    storage.close()
    with pytest.raises(StorageError, match="is lost"):
        ended.result()
    trouble.end()


def test_what_memory_does_not_know_fails_with_a_sentence(trouble: Trouble) -> None:
    if isinstance(trouble, LockedFile):
        return  # a lock on SQLite stops no reader
    storage = Storage(trouble.url)
    trouble.begin()
    with pytest.raises(StorageError, match="cannot be reached"):
        storage.get_all_studies()
    trouble.end()
    assert storage.get_all_studies() == []
    storage.close()


def drive_until_killed(url: str, folder: str) -> None:
    """Tell a trial, over and over, and append each acknowledged number to a file."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = Storage(url)
    record = Record(storage)
    record.sweep_opened(make_sweep(folder=folder)).result()
    study = optuna.create_study(storage=storage, study_name="digits")
    for number in range(1000):
        trial = optuna.Trial(study, storage.claim_trial_within(study._study_id, 1000) or 0)
        record.run_opened("s" * 32, make_spec(number=number, run=f"{number:032}")).result()
        study.tell(trial, number)
        with Path(folder, "acks").open("a") as acks:
            acks.write(f"{number}\n")


@pytest.mark.slow
def test_a_driver_killed_in_an_outage_loses_nothing(trouble: Trouble, tmp_path: Path) -> None:
    driver = _CONTEXT.Process(target=drive_until_killed, args=(trouble.url, str(tmp_path)))
    driver.start()
    acks = tmp_path / "acks"
    until(lambda: acks.exists() and acks.read_text().count("\n") > 10)
    trouble.begin()
    known = acks.read_text().count("\n")
    time.sleep(1.5)  # longer than a blip: whatever waits is on disk by now
    driver.kill()
    driver.join()
    trouble.end()
    storage = Storage(trouble.url)
    record = Record(storage)
    record.sweep_opened(make_sweep(sweep="t" * 32)).result()
    orphans = [orphan.number for orphan in record.orphans("digits")]
    trials = storage.get_all_trials(storage.get_study_id_from_name("digits"))
    assert [trial.number for trial in trials] == list(range(len(trials)))
    told = [int(line) for line in acks.read_text().split()]
    assert len(told) >= known
    for number in told:
        assert trials[number].values == [float(number)]
    assert orphans == [trial.number for trial in trials if trial.state == TrialState.RUNNING]
    assert len(orphans) <= 1
    assert list(tmp_path.glob(".sweeper/spool-*")) == []
    storage.close()


@pytest.mark.slow
def test_a_server_that_crashes_and_comes_back_is_waited_for() -> None:
    server = new_server()
    try:
        server.start()
        url = server.url_of(server.create_database())
        storage = Storage(url)
        study = optuna.create_study(storage=storage, study_name="digits")
        told = []
        for crash in range(3):
            trial = study.ask()
            server.crash()
            telling = threading.Thread(target=study.tell, args=(trial, crash))
            telling.start()
            until(lambda: storage.health().reason is not None)
            server.start()
            telling.join()
            told.append(float(crash))
            assert [trial.value for trial in study.get_trials()] == told
        storage.close()
    finally:
        server.stop()
        shutil.rmtree(server.folder)
