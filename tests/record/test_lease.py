"""Leases: who is at work on a study, when a driver counts as dead, and what it can no longer do then."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing

import optuna
import pytest
from optuna.trial import TrialState

from sweeper.errors import LaunchError, Superseded
from sweeper.record import Record, Storage
from sweeper.record.alive import clock
from sweeper.record.lease import LEASE_S
from sweeper.record.process import Fate, boot, fate, identity
from sweeper.record.tables import runs, sweeps
from tests.record.rows import rows
from tests.record.samples import make_spec, make_sweep

FIRST, SECOND = "1" * 32, "2" * 32
ELSEWHERE = f"{boot()}:1:1:1"  # a process of another container of this machine: nobody here sees whether it runs


@pytest.fixture
def storage(database_url: str) -> Iterator[Storage]:
    storage = Storage(database_url)
    optuna.create_study(storage=storage, study_name="digits")
    yield storage
    storage.close()


@pytest.fixture
def other(database_url: str, storage: Storage) -> Iterator[Storage]:
    """The same database as another driver has it open."""
    other = Storage(database_url)
    yield other
    other.close()


@pytest.fixture
def gone() -> str:
    """The identity of a process that is no more."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        return identity(process.pid)


def expire(storage: Storage, sweep: str) -> None:
    with storage.database.engine.connect() as connection:
        past = clock(connection) - 1
        connection.execute(sweeps.update().where(sweeps.c.sweep == sweep).values(lease_until=past))


def claim(storage: Storage, limit: int = 100) -> int | None:
    return storage.claim_trial_within(storage.get_study_id_from_name("digits"), limit)


def test_a_second_launch_is_refused_by_the_name_of_who_is_at_work(storage: Storage, other: Storage) -> None:
    Record(storage).sweep_opened(make_sweep(sweep=FIRST, user="ada", host="alpha", pid=7)).result()
    with pytest.raises(LaunchError, match=r"ada's process 7 on alpha since 20..-.*sweeper stop digits.*join=true"):
        Record(other).sweep_opened(make_sweep(sweep=SECOND)).result()
    assert [row["sweep"] for row in rows(storage, sweeps)] == [FIRST]


def test_of_two_launches_at_once_one_is_refused(storage: Storage, other: Storage) -> None:
    begin = threading.Barrier(2)
    refused: list[str] = []

    def launch(name: str, at: Storage) -> None:
        begin.wait()
        try:
            Record(at).sweep_opened(make_sweep(sweep=name)).result()
        except LaunchError:
            refused.append(name)

    threads = [threading.Thread(target=launch, args=pair) for pair in ((FIRST, storage), (SECOND, other))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert len(rows(storage, sweeps)) == 1


def test_a_second_driver_may_join_on_purpose(storage: Storage, other: Storage) -> None:
    Record(storage).sweep_opened(make_sweep(sweep=FIRST)).result()
    Record(other).sweep_joined(make_sweep(sweep=SECOND)).result()
    assert [row["ended_at"] for row in rows(storage, sweeps)] == [None, None]
    assert [claim(storage, 3), claim(other, 3), claim(storage, 3), claim(other, 3)] == [1, 2, 3, None]


@pytest.mark.parametrize("is_provable", [True, False], ids=["its process is gone", "its lease is over"])
def test_a_dead_driver_is_followed_and_its_runs_are_lost(
    storage: Storage, other: Storage, gone: str, is_provable: bool
) -> None:
    record = Record(storage)
    record.sweep_opened(make_sweep(sweep=FIRST, process=gone if is_provable else ELSEWHERE)).result()
    trial_id = claim(storage)
    record.run_opened(FIRST, make_spec()).result()
    if not is_provable:
        expire(storage, FIRST)
    late = Record(other)
    late.sweep_opened(make_sweep(sweep=SECOND)).result()

    (run,) = rows(storage, runs)
    assert (run["state"], run["failure"]) == ("FAIL", "lost")
    assert [row["outcome"] for row in rows(storage, sweeps)] == ["lost", None]
    (orphan,) = late.orphans("digits")
    assert (orphan.trial_id, orphan.number, orphan.owner) == (trial_id, 0, FIRST)


def test_a_driver_that_nobody_sees_is_alive_until_its_lease_is_over(storage: Storage, other: Storage) -> None:
    Record(storage).sweep_opened(make_sweep(sweep=FIRST, process=ELSEWHERE)).result()
    with pytest.raises(LaunchError):
        Record(other).sweep_opened(make_sweep(sweep=SECOND)).result()
    assert Record(other).orphans("digits") == []


def test_a_beat_renews_the_lease_by_the_clock_of_the_database(storage: Storage) -> None:
    record = Record(storage)
    record.sweep_opened(make_sweep(sweep=FIRST)).result()
    expire(storage, FIRST)
    record.beat(FIRST).result()
    left = rows(storage, sweeps)[0]["lease_until"] - storage.ask(clock)
    assert 0 < LEASE_S - left < LEASE_S / 2


def test_who_was_superseded_writes_no_state_claims_nothing_and_hears_of_it(storage: Storage, other: Storage) -> None:
    record = Record(storage)
    record.sweep_opened(make_sweep(sweep=FIRST, process=ELSEWHERE)).result()
    trial_id = claim(storage) or 0
    expire(storage, FIRST)
    Record(other).sweep_opened(make_sweep(sweep=SECOND)).result()
    assert other.adopt_trial(trial_id, FIRST)
    other.set_trial_system_attr(trial_id, "attempt", 2)
    storage.set_trial_system_attr(trial_id, "attempt", 1)
    for stale in (
        lambda: storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0]),
        lambda: storage.set_trial_state_values(trial_id, TrialState.WAITING),
        lambda: claim(storage),
        lambda: record.beat(FIRST).result(),
    ):
        with pytest.raises(Superseded):
            stale()
    other.set_trial_state_values(trial_id, TrialState.COMPLETE, [2.0])
    with closing(Storage(other.database.full_url)) as fresh:
        (trial,) = fresh.get_all_trials(1)
    assert (trial.values, trial.system_attrs["attempt"]) == ([2.0], 2)


def test_a_run_does_not_begin_whose_trial_went_to_another_meanwhile(storage: Storage, other: Storage) -> None:
    record = Record(storage)
    record.sweep_opened(make_sweep(sweep=FIRST, process=ELSEWHERE)).result()
    trial_id = claim(storage) or 0
    expire(storage, FIRST)
    late = Record(other)
    late.sweep_opened(make_sweep(sweep=SECOND)).result()
    assert other.adopt_trial(trial_id, FIRST)
    with pytest.raises(Superseded):
        record.run_opened(FIRST, make_spec()).result()
    late.run_opened(SECOND, make_spec(run="b" * 32)).result()
    assert [row["sweep"] for row in rows(storage, runs)] == [SECOND]


def test_of_two_heirs_one_adopts(storage: Storage, other: Storage) -> None:
    Record(storage).sweep_opened(make_sweep(sweep=FIRST)).result()
    Record(other).sweep_joined(make_sweep(sweep=SECOND)).result()
    dead = Storage(storage.database.full_url)
    Record(dead).sweep_joined(make_sweep(sweep="3" * 32, process=ELSEWHERE)).result()
    trial_id = claim(dead) or 0
    dead.close()
    expire(storage, "3" * 32)
    assert Record(storage).bury("digits", FIRST).result() == 1
    assert Record(other).bury("digits", SECOND).result() == 0
    assert [storage.adopt_trial(trial_id, "3" * 32), other.adopt_trial(trial_id, "3" * 32)] == [True, False]


def test_trials_of_other_programs_are_nobodys_orphans(storage: Storage) -> None:
    optuna.load_study(storage=storage, study_name="digits").ask()
    record = Record(storage)
    record.sweep_opened(make_sweep(sweep=FIRST)).result()
    record.sweep_ended(FIRST, "finished").result()
    assert record.orphans("digits") == []


def test_a_process_is_known_by_more_than_its_number(gone: str) -> None:
    assert fate(identity()) is Fate.RUNS
    assert fate(gone) is Fate.GONE
    assert fate(ELSEWHERE) is Fate.UNKNOWN
    head, _, start = identity().rpartition(":")
    assert fate(f"{head}:{int(start) + 1}") is Fate.GONE  # the number was given out again
    child = subprocess.Popen([sys.executable, "-c", ""])
    zombie = identity(child.pid)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert fate(zombie) is Fate.GONE  # dead, and not buried by its parent yet
    child.wait()
