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
from sweeper.takeover import take_over
from sweeper.trial import Started
from tests.record.samples import NO_PROCESS, make_spec, make_sweep


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
    record.close()

    history = History(sqlite_url)
    kept = {row.name: row.sha256 for row in history.artifacts(spec.run)}
    assert set(kept) == {"model.pt", "trial.log"}
    with store.open(str(kept["model.pt"])) as content:
        assert content.read() == b"weights"
    assert history.trial("digits", 0).state == "WAITING"
    storage.close()
