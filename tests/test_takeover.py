"""What a driver that died has left."""

from __future__ import annotations

from pathlib import Path

import optuna
from optuna.trial import TrialState

from sweeper.history import History
from sweeper.provenance.store import FolderStore
from sweeper.record import Record, Storage
from sweeper.record.owner import OWNER
from sweeper.run.journal import Journal, journal_path
from sweeper.study import AskTellStudy
from sweeper.takeover import given_up, take_over
from sweeper.trial import Ended, Failure, Measured, Started
from tests.record.samples import NO_PROCESS, make_spec, make_sweep
from tests.simulation import fresh_storage


def test_the_files_of_a_lost_run_are_kept_by_who_takes_over(sqlite_url: str, tmp_path: Path) -> None:
    storage, store = Storage(sqlite_url), FolderStore(tmp_path / "artifacts")
    study = optuna.create_study(study_name="digits", storage=storage)
    record = Record(storage)
    dead = make_sweep(
        sweep="d" * 32, process=NO_PROCESS, folder=str(tmp_path), artifacts=store.url, settings='{"collect": ["*.pt"]}'
    )
    record.sweep_opened(dead).result()
    running = optuna.trial.create_trial(state=TrialState.RUNNING, system_attrs={OWNER: "d" * 32})
    storage.create_new_trial(study._study_id, running)
    spec = make_spec(folder=str(tmp_path / "0"), artifacts=store.url, collect=("*.pt",))
    record.run_opened("d" * 32, spec).result()
    journal = Journal(journal_path(spec.folder, spec.run))
    journal.append(Started(spec.run, 0, 1.0, "node", 9))
    journal.close()
    (tmp_path / "0" / "model.pt").write_bytes(b"weights")
    (tmp_path / "0" / "trial.log").write_text("epoch 3\n")

    record.sweep_opened(make_sweep(sweep="n" * 32)).result()
    opened = AskTellStudy("digits", storage, optuna.samplers.RandomSampler(), optuna.pruners.NopPruner(), 0)
    storage.drive("n" * 32)
    assert take_over(opened, record) == 1

    (attempt,) = record.given_up("digits")  # its last words may be later than that
    assert (attempt.number, attempt.run, attempt.folder) == (0, spec.run, spec.folder)
    record.close()

    history = History(sqlite_url)
    kept = {row.name: row.sha256 for row in history.artifacts(spec.run)}
    assert set(kept) == {"model.pt", "trial.log"}
    with store.open(str(kept["model.pt"])) as content:
        assert content.read() == b"weights"
    assert history.trial("digits", 0).state == "WAITING"
    storage.close()


def test_what_an_attempt_says_after_it_was_given_up_is_heard_by_the_next_launch(tmp_path: Path) -> None:
    """Such as a trial that writes a point between its slot's end and its own."""
    storage = fresh_storage()
    study = optuna.create_study(study_name="digits", storage=storage)
    record = Record(storage)
    record.sweep_opened(make_sweep()).result()
    for number, failure in enumerate([Failure.LOST, Failure.STOPPED, Failure.CRASHED, None]):
        spec = make_spec(number=number, run=f"{number:032d}", folder=str(tmp_path / str(number)))
        record.run_opened("s" * 32, spec).result()
        state = TrialState.COMPLETE if failure is None else TrialState.FAIL
        record.heard([Ended(spec.run, 1, 2.0, state, failure=failure)]).result()
        waits = number < 3
        storage.create_new_trial(
            study._study_id,
            optuna.trial.create_trial(state=TrialState.WAITING if waits else state, value=None if waits else 1.0),
        )
        journal = Journal(journal_path(spec.folder, spec.run))
        journal.append(Measured(spec.run, 0, 1.0, 7, {"loss": 0.5}))
        journal.close()

    lost = given_up(record, "digits")

    assert lost.numbers() == [0, 1]
    for number in range(2):
        assert [event.step for event in lost.words(number) if isinstance(event, Measured)] == [7]
    record.close()
