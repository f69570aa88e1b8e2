"""A store in a folder."""

from __future__ import annotations

import io
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from sweeper.errors import ArtifactError
from sweeper.provenance.store import FolderStore, Store, open_store
from tests.contracts.store import StoreContract, blob_of


class TestFolderStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return open_store(str(tmp_path / "artifacts"))

    def test_nothing_is_left_beside_the_blobs(self, tmp_path: Path) -> None:
        store = FolderStore(tmp_path)
        for _ in range(2):
            store.put(io.BytesIO(b"content"))
        assert [path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*") if path.is_file()] == ["sha256"]

    def test_a_blob_cannot_be_edited_by_mistake(self, tmp_path: Path) -> None:
        blob = FolderStore(tmp_path).put(io.BytesIO(b"content"))
        place = tmp_path / "sha256" / blob.sha256[:2] / blob.sha256
        assert place.stat().st_mode & 0o222 == 0

    def test_a_blob_that_a_power_cut_has_emptied_is_written_again(self, tmp_path: Path) -> None:
        store = FolderStore(tmp_path)
        blob = store.put(io.BytesIO(b"content"))
        place = tmp_path / "sha256" / blob.sha256[:2] / blob.sha256
        place.chmod(0o644)
        os.truncate(place, 0)
        store.put(io.BytesIO(b"content"))
        with store.open(blob.sha256) as file:
            assert file.read() == b"content"

    def test_putting_again_freshens_a_blob_that_was_about_to_be_collected(self, tmp_path: Path) -> None:
        store = FolderStore(tmp_path)
        blob = store.put(io.BytesIO(b"content"))
        os.utime(tmp_path / "sha256" / blob.sha256[:2] / blob.sha256, (0, 0))
        (found,) = store.blobs()
        assert found.used_at == 0
        store.put(io.BytesIO(b"content"))
        assert not store.discard(blob.sha256, used_before=time.time() - 60)

    def test_collecting_and_putting_at_once_never_loses_what_was_put(self, tmp_path: Path) -> None:
        store, sha256 = FolderStore(tmp_path), blob_of(b"content").sha256
        place = tmp_path / "sha256" / sha256[:2] / sha256
        stop = threading.Event()

        def collect() -> None:
            while not stop.is_set():
                store.discard(sha256, used_before=time.time() - 60)

        collector = threading.Thread(target=collect)
        collector.start()
        try:
            for _ in range(300):
                store.put(io.BytesIO(b"content"))
                with suppress(FileNotFoundError):  # it has just been collected
                    os.utime(place, (0, 0))
                store.put(io.BytesIO(b"content"))
        finally:
            stop.set()
            collector.join()
        with store.open(sha256) as file:
            assert file.read() == b"content"


def test_a_folder_that_cannot_be_written_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match=r"file.*name another place with hydra\.sweeper\.artifacts="):
        open_store(str(tmp_path / "file" / "store")).put(io.BytesIO(b""))


def test_opening_creates_nothing(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/store")
    assert list(store.blobs()) == []
    assert store.url == f"{tmp_path}/store"
    assert not (tmp_path / "store").exists()


def test_an_empty_place_is_refused() -> None:
    with pytest.raises(ArtifactError, match="the place of artifacts is empty"):
        open_store(" ")
