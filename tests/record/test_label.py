"""Tags and notes: written here, read here and by optuna-dashboard."""

from __future__ import annotations

from collections.abc import Iterator

import optuna
import pytest
from optuna_dashboard import save_note
from optuna_dashboard._note import get_note_from_system_attrs

from sweeper import record
from sweeper.history import History
from sweeper.record import Storage


@pytest.fixture
def storage(database_url: str) -> Iterator[Storage]:
    storage = Storage(database_url)
    study = optuna.create_study(study_name="digits", storage=storage)
    for _ in range(2):
        study.tell(study.ask(), 1.0)
    yield storage
    storage.close()


def test_tags_come_and_go(storage: Storage, database_url: str) -> None:
    history = History(database_url)
    record.tag(storage, "digits", 1, ["paper", "best"], "ada")
    record.tag(storage, "digits", 1, ["paper", "paper"], "bob")
    record.tag(storage, "digits", None, ["v1"], "ada")
    assert history.tags("digits") == {1: ("best", "paper"), None: ("v1",)}
    record.untag(storage, "digits", 1, ["paper", "never"])
    assert history.tags("digits") == {1: ("best",), None: ("v1",)}
    optuna.delete_study(study_name="digits", storage=storage)
    assert history.tags("digits") == {}


@pytest.mark.parametrize("number", [None, 1])
@pytest.mark.parametrize("body", ["# why\n\nit *diverged* ✓", "x" * 5000, ""])
def test_a_note_is_the_one_that_the_dashboard_shows(
    storage: Storage, database_url: str, number: int | None, body: str
) -> None:
    history = History(database_url)
    record.note(storage, "digits", number, "y" * 9000)
    record.note(storage, "digits", number, body)
    assert history.note("digits", number) == body
    study_id = storage.get_study_id_from_name("digits")
    trial_id = None if number is None else storage.get_trial_id_from_study_id_trial_number(study_id, number)
    shown = get_note_from_system_attrs(storage.get_study_system_attrs(study_id), trial_id)
    assert (shown["version"], shown["body"]) == (2, body)


def test_a_note_of_the_dashboard_is_read_here(storage: Storage, database_url: str) -> None:
    study = optuna.load_study(study_name="digits", storage=storage)
    save_note(study, "written there " * 300)
    assert History(database_url).note("digits", None) == "written there " * 300
    assert History(database_url).note("digits", 0) == ""
