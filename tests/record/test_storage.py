"""Optuna's own contract for storages on both engines, and what it leaves open."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import StudyDirection
from optuna.testing.pytest_storages import StorageTestCase
from optuna.trial import TrialState

from sweeper.errors import StorageError
from sweeper.record import Storage


@pytest.fixture
def storage(database_url: str) -> Iterator[Storage]:
    storage = Storage(database_url)
    yield storage
    storage.close()


class TestOptunaContract(StorageTestCase):
    pass


@pytest.fixture
def other(storage: Storage) -> Iterator[Storage]:
    """Another process's storage of the same database, as far as the database can tell."""
    other = Storage(storage.database)
    yield other
    other.close()


def stored(storage: Storage, query: str) -> list[tuple[Any, ...]]:
    """What a connection that knows nothing of the storage reads."""
    with storage.database.engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def new_study(storage: Storage, name: str = "digits") -> int:
    return storage.create_new_study([StudyDirection.MINIMIZE], name)


X = FloatDistribution(0.0, 1.0)


def test_a_change_of_state_is_durable_with_all_before_it(storage: Storage) -> None:
    study = new_study(storage)
    first, second = storage.create_new_trial(study), storage.create_new_trial(study)
    storage.set_trial_param(first, "x", 0.5, X)
    storage.set_trial_user_attr(second, "note", 1)
    storage.set_trial_intermediate_value(second, 3, 0.25)
    storage.set_trial_state_values(first, TrialState.COMPLETE, [1.0])
    assert stored(storage, "SELECT param_name, param_value FROM trial_params") == [("x", 0.5)]
    assert stored(storage, "SELECT value FROM trial_values") == [(1.0,)]
    assert stored(storage, "SELECT value_json FROM trial_user_attributes") == [("1",)]
    assert stored(storage, "SELECT step FROM trial_intermediate_values") == [(3,)]


def test_what_nobody_waits_for_is_durable_soon(storage: Storage) -> None:
    trial = storage.create_new_trial(new_study(storage))
    storage.set_trial_user_attr(trial, "note", 1)
    while storage.health().waiting:
        time.sleep(0.01)
    assert stored(storage, "SELECT value_json FROM trial_user_attributes") == [("1",)]


def test_closing_writes_what_is_left(storage: Storage) -> None:
    trial = storage.create_new_trial(new_study(storage))
    storage.set_trial_user_attr(trial, "note", 1)
    storage.close()
    assert stored(storage, "SELECT value_json FROM trial_user_attributes") == [("1",)]
    with pytest.raises(StorageError, match="open it again"):
        storage.create_new_trial(1)


def test_others_trials_are_seen_as_they_change(storage: Storage, other: Storage) -> None:
    study = new_study(storage)
    assert other.get_all_trials(study) == []
    trial = storage.create_new_trial(study)
    storage.set_trial_param(trial, "x", 0.5, X)
    storage.set_study_user_attr(study, "a", 1)
    assert other.get_study_user_attrs(study) == {"a": 1}
    (running,) = other.get_all_trials(study)
    assert (running.state, running.params) == (TrialState.RUNNING, {"x": 0.5})
    mine = other.create_new_trial(study)
    storage.set_trial_state_values(trial, TrialState.COMPLETE, [0.1])
    assert [one.state for one in other.get_all_trials(study)] == [TrialState.COMPLETE, TrialState.RUNNING]
    assert other.get_trial_number_from_id(mine) == 1
    assert storage.get_all_trials(study) == other.get_all_trials(study)


def test_optunas_own_trials_are_seen(storage: Storage) -> None:
    url = storage.database.full_url
    theirs = optuna.storages.RDBStorage(url)
    study = new_study(storage)
    trial = theirs.create_new_trial(study)
    theirs.set_trial_param(trial, "x", 0.5, X)
    assert storage.get_trial(trial).params == {"x": 0.5}
    theirs.set_trial_state_values(trial, TrialState.COMPLETE, [0.1])
    assert storage.get_best_trial(study).value == 0.1
    assert storage.create_new_trial(study) != trial
    assert [one.number for one in theirs.get_all_trials(study)] == [0, 1]
    theirs.remove_session()
    theirs.engine.dispose()


def test_a_trial_that_another_has_finished_takes_nothing_more(
    storage: Storage, other: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    study = new_study(storage)
    trial = storage.create_new_trial(study)
    other.set_trial_state_values(trial, TrialState.FAIL)
    storage.set_trial_user_attr(trial, "late", 1)  # believed to be running still
    with pytest.raises(UpdateFinishedTrialError):
        storage.set_trial_state_values(trial, TrialState.COMPLETE, [1.0])
    assert "not stored: Trial#0 has already finished" in caplog.text
    (seen,) = storage.get_all_trials(study)
    assert (seen.state, seen.user_attrs) == (TrialState.FAIL, {})
    with pytest.raises(UpdateFinishedTrialError):
        storage.set_trial_user_attr(trial, "late", 1)


def test_a_trial_given_back_keeps_its_number_and_params(storage: Storage, other: Storage) -> None:
    study = new_study(storage)
    trial = storage.create_new_trial(study)
    storage.set_trial_param(trial, "x", 0.5, X)
    assert storage.set_trial_state_values(trial, TrialState.WAITING)
    assert not storage.get_all_trials(study, states=(TrialState.RUNNING,))
    claimed = optuna.load_study(study_name="digits", storage=other).ask()
    assert (claimed.number, claimed.suggest_float("x", 0.0, 1.0)) == (0, 0.5)
    assert not storage.set_trial_state_values(trial, TrialState.RUNNING)
    other.set_trial_user_attr(trial, "second", 1)
    other.set_trial_state_values(trial, TrialState.COMPLETE, [0.0])
    assert storage.get_trial(trial).user_attrs == {"second": 1}


def test_one_of_many_claims_wins(storage: Storage, other: Storage) -> None:
    study = new_study(storage)
    trial = storage.create_new_trial(study, optuna.trial.create_trial(state=TrialState.WAITING))
    other.get_all_trials(study)
    with ThreadPoolExecutor(8) as pool:
        claims = [
            pool.submit(one.set_trial_state_values, trial, TrialState.RUNNING)
            for one in (storage, other)
            for _ in range(4)
        ]
    assert [claim.result() for claim in claims].count(True) == 1


def test_a_study_is_filled_to_its_limit_by_many_threads(storage: Storage, other: Storage) -> None:
    study = new_study(storage)
    for point in range(3):
        optuna.load_study(study_name="digits", storage=storage).enqueue_trial({"x": point / 4})
    with ThreadPoolExecutor(8) as pool:
        claims = [pool.submit(one.claim_trial_within, study, 10) for one in (storage, other) for _ in range(8)]
    claimed = [claim.result() for claim in claims]
    assert len([one for one in claimed if one is not None]) == len(set(claimed) - {None}) == 10
    trials = storage.get_all_trials(study)
    assert [one.number for one in trials] == list(range(10))
    assert all(one.state == TrialState.RUNNING and one.datetime_start is not None for one in trials)
    storage.set_trial_state_values(trials[4]._trial_id, TrialState.WAITING)
    assert other.claim_trial_within(study, 10) == trials[4]._trial_id
    assert storage.claim_trial_within(study, 10) is None


def test_lists_of_trials_are_the_callers_own(storage: Storage) -> None:
    study = new_study(storage)
    storage.create_new_trial(study)
    before = storage.get_all_trials(study, deepcopy=False)
    before_params = before[0].params
    storage.set_trial_param(before[0]._trial_id, "x", 0.5, X)
    storage.create_new_trial(study)
    assert len(before) == 1 and before_params == {}
    storage.get_all_trials(study, deepcopy=False).clear()
    assert len(storage.get_all_trials(study, deepcopy=False)) == 2


def test_ids_of_a_deleted_study_that_come_again_mean_the_new_one(storage: Storage, other: Storage) -> None:
    old = new_study(storage)
    other.create_new_trial(old)
    storage.get_all_trials(old)
    other.delete_study(old)
    new = new_study(other, "fresh")
    for study in {old, new}:
        if study == new:
            assert storage.get_all_trials(study) == []
            assert storage.get_study_name_from_id(study) == "fresh"
        else:
            with pytest.raises(KeyError):
                storage.get_all_trials(study)


@pytest.mark.parametrize(
    ("name", "sentence"), [("n" * 513, "has 513 characters"), ("a\0b", "NUL character")], ids=["long", "NUL"]
)
def test_names_that_one_engine_could_not_store_are_refused_on_both(storage: Storage, name: str, sentence: str) -> None:
    with pytest.raises(StorageError, match=sentence):
        storage.create_new_study([StudyDirection.MINIMIZE], name)
    trial = storage.create_new_trial(new_study(storage))
    for write in (
        partial(storage.set_study_user_attr, 1, name, 1),
        partial(storage.set_trial_user_attr, trial, name, 1),
        partial(storage.set_trial_system_attr, trial, name, 1),
        partial(storage.set_trial_param, trial, name, 0.5, X),
    ):
        with pytest.raises(StorageError, match=sentence):
            write()
    assert storage.get_trial(trial).params == {}


def test_steps_that_optunas_table_cannot_hold_are_refused(storage: Storage) -> None:
    trial = storage.create_new_trial(new_study(storage))
    with pytest.raises(StorageError, match=r"2\*\*31"):
        storage.set_trial_intermediate_value(trial, 2**31, 0.0)


def test_a_write_that_the_database_refuses_fails_alone(storage: Storage) -> None:
    study = new_study(storage)
    with ThreadPoolExecutor(4) as pool:
        good = [pool.submit(storage.create_new_trial, study) for _ in range(3)]
        bad = pool.submit(storage.set_study_user_attr, study, "\ud800", 1)  # no engine stores half a character
    with pytest.raises((StorageError, UnicodeEncodeError)):
        bad.result()
    assert len({one.result() for one in good}) == 3
    assert storage.get_study_user_attrs(study) == {}
