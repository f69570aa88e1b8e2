"""One trial copied out of a database, from either engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState, create_trial

from sweeper import record
from sweeper.errors import NotFound
from sweeper.history import History, TrialName
from sweeper.record import Record, Storage
from sweeper.record.extract import extract
from tests.record.samples import LIFE, make_spec, make_sweep


@pytest.fixture
def storage(database_url: str) -> Iterator[Storage]:
    """Two studies; three trials of the first, one of them run by sweeper, with notes and tags on two."""
    storage = Storage(database_url)
    optuna.create_study(study_name="other", storage=storage).add_trial(create_trial(value=1.0))
    study = optuna.create_study(study_name="digits", storage=storage, direction="maximize")
    kept = Record(storage)
    kept.sweep_opened(make_sweep(artifacts="/gone")).result()
    choice = {"act": CategoricalDistribution([None, "relu"])}
    for number in range(3):
        study.add_trial(create_trial(value=float(number), params={"act": "relu"}, distributions=choice))
        record.note(storage, "digits", number, f"note {number}")
        record.tag(storage, "digits", number, ["paper"], "ada")
    study.set_user_attr("who", "ada")
    kept.run_opened("s" * 32, make_spec(number=1)).result()
    kept.heard(LIFE).result()
    yield storage
    storage.close()


def test_a_trial_its_run_and_what_optuna_knows_of_others(storage: Storage, database_url: str, tmp_path: Path) -> None:
    source, target = History(database_url), tmp_path / "record.db"
    with source.connected() as connection:
        extract(connection, TrialName("digits", 1), [1, 2], target, "store")
    found = History(f"sqlite:///{target}")
    assert [study.name for study in found.studies()] == ["digits"]
    study = optuna.load_study(study_name="digits", storage=f"sqlite:///{target}")
    assert [(trial.number, trial.state, trial.value) for trial in study.trials] == [
        (1, TrialState.COMPLETE, 1.0),
        (2, TrialState.COMPLETE, 2.0),
    ]
    assert study.trials[0].params == {"act": "relu"} and study.user_attrs == {"who": "ada"}
    (run,) = found.runs("digits", 1)
    assert found.curves(run.run) == source.curves(run.run) and "loss" in found.curves(run.run)
    assert found.sweep(run.sweep).artifacts == "store"
    assert found.tags("digits") == {1: ("paper",)}


def test_notes_on_other_trials_stay_behind(storage: Storage, database_url: str, tmp_path: Path) -> None:
    with History(database_url).connected() as connection:
        extract(connection, TrialName("digits", 1), [2], tmp_path / "record.db", "store")
    found = History(f"sqlite:///{tmp_path}/record.db")
    assert [found.note("digits", number) for number in (1, 2)] == ["note 1", ""]
    assert b"note 2" not in (tmp_path / "record.db").read_bytes()


def test_a_trial_that_is_not_there(storage: Storage, database_url: str, tmp_path: Path) -> None:
    with History(database_url).connected() as connection, pytest.raises(NotFound, match="there is no trial digits/7"):
        extract(connection, TrialName("digits", 7), [], tmp_path / "record.db", "store")
