"""What every store of artifacts promises; subclasses give the `store` fixture."""

from __future__ import annotations

import hashlib
import io
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import pytest

from sweeper.errors import NotFound, SweeperError
from sweeper.provenance.store import Blob, Store

_FAR = time.time() + 1e9


def blob_of(content: bytes) -> Blob:
    return Blob(hashlib.sha256(content).hexdigest(), len(content))


class StoreContract:
    """The promises of `sweeper.provenance.store.Store`."""

    @pytest.mark.parametrize("size", [0, 1, 1000, 2**20 - 1, 2**20, 2**20 + 1, 3_000_000])
    def test_what_was_put_is_found_under_its_sha256(self, store: Store, size: int) -> None:
        content = random.Random(size).randbytes(size)
        assert store.put(io.BytesIO(content)) == blob_of(content)
        with store.open(blob_of(content).sha256) as file:
            assert file.read() == content

    def test_what_comes_soon_is_found_at_once(self, store: Store) -> None:
        assert store.put_soon(io.BytesIO(b"epoch 1")) == blob_of(b"epoch 1")
        with store.open(blob_of(b"epoch 1").sha256) as file:
            assert file.read() == b"epoch 1"

    def test_a_file_is_stored_from_its_beginning(self, store: Store) -> None:
        content = io.BytesIO(b"weights")
        content.seek(3)
        assert store.put(content) == blob_of(b"weights")

    def test_the_same_bytes_are_stored_once(self, store: Store) -> None:
        for content in (b"a", b"b", b"a"):
            store.put(io.BytesIO(content))
        assert sorted(found.sha256 for found in store.blobs()) == sorted(blob_of(c).sha256 for c in (b"a", b"b"))

    def test_a_listing_has_sizes_and_times(self, store: Store) -> None:
        before = time.time()
        store.put(io.BytesIO(b"12345"))
        (found,) = store.blobs()
        assert found.size == 5
        assert before - 2 < found.used_at < time.time() + 2

    def test_an_empty_store_lists_nothing(self, store: Store) -> None:
        assert list(store.blobs()) == []

    def test_nothing_is_found_where_nothing_was_put(self, store: Store) -> None:
        with pytest.raises(NotFound, match="has no 0000"):
            store.open("0" * 64)

    @pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a" * 63, "A" * 64, "", "0" * 64 + "\n"])
    def test_a_name_that_is_no_digest_leads_nowhere(self, store: Store, name: str) -> None:
        with pytest.raises(NotFound, match="is no sha256"):
            store.open(name)
        with pytest.raises(NotFound, match="is no sha256"):
            store.discard(name, _FAR)

    def test_discarding_removes_what_was_not_used_since(self, store: Store) -> None:
        blob = store.put(io.BytesIO(b"old"))
        assert store.discard(blob.sha256, used_before=_FAR)
        assert list(store.blobs()) == []
        assert store.discard(blob.sha256, used_before=_FAR), "what is gone already is gone"

    def test_what_was_put_since_is_kept(self, store: Store) -> None:
        blob = store.put(io.BytesIO(b"new"))
        assert not store.discard(blob.sha256, used_before=time.time() - 3600)
        with store.open(blob.sha256) as file:
            assert file.read() == b"new"

    def test_a_failing_source_leaves_no_blob(self, store: Store) -> None:
        class Failing(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                if self.tell() >= 2_000_000:
                    raise OSError("the disk is gone")
                return super().read(size)

        with pytest.raises((OSError, SweeperError), match="the disk is gone"):
            store.put(Failing(b"x" * 5_000_000))
        assert list(store.blobs()) == []

    def test_many_writers_of_the_same_bytes_do_not_disturb_each_other(self, store: Store) -> None:
        def write(i: int) -> BinaryIO:
            store.put(io.BytesIO(b"%d" % (i % 3) * 100_000))
            return store.open(blob_of(b"%d" % (i % 3) * 100_000).sha256)

        with ThreadPoolExecutor(8) as pool:
            for i, file in enumerate(pool.map(write, range(60))):
                with file:
                    assert file.read() == b"%d" % (i % 3) * 100_000
        assert len(list(store.blobs())) == 3
