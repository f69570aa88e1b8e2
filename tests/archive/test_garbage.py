"""What may be removed, and what must stay whatever happens at the same time."""

from __future__ import annotations

import io
import os
import threading
import time
from pathlib import Path

import optuna
import pytest

from sweeper.archive import garbage
from sweeper.errors import ArtifactError
from sweeper.history import History
from sweeper.provenance.artifact import keep
from sweeper.record import Record, Storage
from sweeper.run.collect import saved
from tests.archive.conftest import Shelf
from tests.record.samples import make_spec, make_sweep

_LONG_AGO = time.time() - 30 * 86400


def age(shelf: Shelf, sha256: str) -> str:
    os.utime(shelf.store.root / "sha256" / sha256[:2] / sha256, (_LONG_AGO, _LONG_AGO))
    return sha256


def orphan(shelf: Shelf, content: bytes) -> str:
    return age(shelf, shelf.store.put(io.BytesIO(content)).sha256)


def there(shelf: Shelf) -> set[str]:
    return {blob.sha256 for blob in shelf.store.blobs()}


def test_what_nothing_points_to_is_told_and_then_removed(shelf: Shelf) -> None:
    kept, gone = age(shelf, shelf.keep(0, "a.pt", b"kept")), orphan(shelf, b"gone")
    found = garbage.find(shelf.store, [shelf.history], 3600)

    assert ([blob.sha256 for blob in found.blobs], found.size, found.kept) == ([gone], 4, 1)
    assert there(shelf) == {kept, gone}, "telling removes nothing"
    assert [blob.sha256 for blob in garbage.remove(found)] == [gone]
    assert there(shelf) == {kept}


def test_what_a_deleted_study_had_is_garbage_with_what_optuna_was_shown(shelf: Shelf) -> None:
    age(shelf, shelf.keep(0, "a.pt", b"weights"))
    optuna.delete_study(study_name="digits", storage=shelf.storage)
    garbage.remove(garbage.find(shelf.store, [shelf.history], 3600))

    assert there(shelf) == set()
    assert list((shelf.store.root / "optuna").iterdir()) == []


def test_what_two_runs_share_stays_while_one_is_kept(shelf: Shelf) -> None:
    shared = age(shelf, shelf.keep(0, "a.pt", b"shared"))
    shelf.keep(1, "a.pt", b"shared")
    shelf.keep(0, "a.pt", b"later")
    garbage.remove(garbage.find(shelf.store, [shelf.history], 3600))
    assert shared in there(shelf)


def test_what_is_young_stays_whatever_grace_is_asked_for(shelf: Shelf) -> None:
    young = shelf.store.put(io.BytesIO(b"young")).sha256
    found = garbage.find(shelf.store, [shelf.history], 0.0)
    assert (found.blobs, [blob.sha256 for blob in found.young]) == ((), [young])


def test_what_was_put_since_the_oldest_open_sweep_began_stays(shelf: Shelf, tmp_path: Path) -> None:
    blob = orphan(shelf, b"of the running sweep")
    sweep = make_sweep(sweep="t" * 32, folder=str(tmp_path), started_at=_LONG_AGO - 5.0)
    Record(shelf.storage).sweep_opened(sweep).result()
    found = garbage.find(shelf.store, [shelf.history], 3600)
    assert (found.blobs, [young.sha256 for young in found.young]) == ((), [blob])


def test_a_blob_that_is_put_again_between_telling_and_removing_stays(shelf: Shelf) -> None:
    blob = orphan(shelf, b"again")
    found = garbage.find(shelf.store, [shelf.history], 3600)
    shelf.store.put(io.BytesIO(b"again"))
    assert garbage.remove(found) == ()
    assert there(shelf) == {blob}


def test_a_store_that_another_database_uses_needs_that_database(shelf: Shelf, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path}/other.db"
    with_other = Storage(other)
    optuna.create_study(study_name="theirs", storage=with_other)
    record = Record(with_other)
    record.sweep_opened(make_sweep(study="theirs", folder=str(tmp_path))).result()
    record.run_opened("s" * 32, make_spec(study="theirs")).result()
    record.sweep_ended("s" * 32, "finished").result()
    (tmp_path / "file").write_bytes(b"theirs")
    kept = keep(tmp_path / "file", "a.pt", "model", shelf.store, "a" * 32)
    record.heard([saved("a" * 32, 1, kept)]).result()
    age(shelf, str(kept.sha256))
    for history in (shelf.history, History(other)):
        shelf.store.sign(history.where)

    with pytest.raises(ArtifactError, match=r"is used by .*other\.db too: name that database with --also URL"):
        garbage.find(shelf.store, [shelf.history], 3600)
    assert garbage.find(shelf.store, [shelf.history, History(other)], 3600).blobs == ()
    with_other.close()


def test_a_sweep_that_writes_meanwhile_loses_nothing(shelf: Shelf) -> None:
    """Blobs that lie there for long are used again, by content, while garbage is collected over and over."""
    contents = [b"epoch %d" % i for i in range(60)]
    for content in contents:
        orphan(shelf, content)
    stop = threading.Event()

    def collect() -> None:
        while not stop.is_set():
            garbage.remove(garbage.find(shelf.store, [shelf.history], 3600))

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        kept = [shelf.keep(0, f"{i}.pt", content) for i, content in enumerate(contents)]
    finally:
        stop.set()
        collector.join()
    garbage.remove(garbage.find(shelf.store, [shelf.history], 3600))
    assert there(shelf) >= set(kept)
