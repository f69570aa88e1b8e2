"""A study whose runs keep files in a real store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import optuna
import pytest

from sweeper.history import History
from sweeper.provenance.artifact import keep
from sweeper.provenance.store import FolderStore
from sweeper.record import Record, Storage
from sweeper.run.collect import saved
from tests.record.samples import make_spec, make_sweep


@dataclass(frozen=True)
class Shelf:
    """A database and a store."""

    url: str
    store: FolderStore
    storage: Storage
    keep: Callable[[int, str, bytes], str]  # trial number, name, content -> sha256

    @property
    def history(self) -> History:
        return History(self.url)


@pytest.fixture
def shelf(sqlite_url: str, tmp_path: Path) -> Iterator[Shelf]:
    """Two trials of the study digits, `keep` saves a file for one of them; the sweep has ended."""
    store, storage = FolderStore(tmp_path / "artifacts"), Storage(sqlite_url)
    study = optuna.create_study(study_name="digits", storage=storage)
    record = Record(storage)
    record.sweep_opened(make_sweep(artifacts=store.url, folder=str(tmp_path))).result()
    for number in range(2):
        study.ask()
        record.run_opened("s" * 32, make_spec(number=number, run=str(number) * 32)).result()
    record.sweep_ended("s" * 32, "finished").result()

    def put(number: int, name: str, content: bytes) -> str:
        (tmp_path / "file").write_bytes(content)
        kept = keep(tmp_path / "file", name, "model", store, str(number) * 32)
        record.heard([saved(str(number) * 32, 1, kept)]).result()
        return str(kept.sha256)

    yield Shelf(sqlite_url, store, storage, put)
    storage.close()
