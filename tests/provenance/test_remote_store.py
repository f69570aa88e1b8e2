"""A store on a file system of fsspec."""

from __future__ import annotations

import io
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
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


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The URL of a bucket on a server that speaks S3."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "ada")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "lovelace")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        name = f"bucket-{uuid.uuid4().hex}"  # what moto holds outlasts its server, and so may come a second time
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir(name)
        yield f"s3://{name}"
    server.stop()


@pytest.mark.slow
class TestOnS3(StoreContract):
    @pytest.fixture
    def store(self, s3: str) -> Store:
        return RemoteStore(f"{s3}/{uuid.uuid4().hex}")

    def test_a_bucket_that_is_not_there_is_named_without_its_key(self, s3: str) -> None:
        with pytest.raises(ArtifactError, match="the store s3://elsewhere/store cannot be used") as caught:
            RemoteStore("s3://elsewhere/store").put(io.BytesIO(b"a"))
        assert "lovelace" not in str(caught.value)


def test_a_protocol_that_nobody_knows_is_named() -> None:
    with pytest.raises(ArtifactError, match=r"nosuch://bucket cannot be opened .*give a folder or a URL"):
        open_store("nosuch://bucket")


def test_a_password_in_the_url_is_not_shown() -> None:
    with pytest.raises(ArtifactError) as caught:
        open_store("nosuch://user:hunter2@host/bucket").put(io.BytesIO(b""))
    assert "hunter2" not in str(caught.value)
