"""A store on a file system of fsspec."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import pytest

from sweeper.errors import ArtifactError
from sweeper.provenance.remote_store import RemoteStore
from sweeper.provenance.store import Store, open_store
from tests.contracts.store import StoreContract


class TestOnDisk(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
        """fsspec's own files on this disk; it renames them into their place only within one file system."""
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        return RemoteStore(f"local://{tmp_path}/store")


def test_a_protocol_that_nobody_knows_is_named() -> None:
    with pytest.raises(ArtifactError, match=r"nosuch://bucket cannot be opened .*give a folder or a URL"):
        open_store("nosuch://bucket")


def test_a_password_in_the_url_is_not_shown() -> None:
    with pytest.raises(ArtifactError) as caught:
        open_store("nosuch://user:hunter2@host/bucket").put(io.BytesIO(b""))
    assert "hunter2" not in str(caught.value)
