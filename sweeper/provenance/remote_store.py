"""A store on any file system of fsspec: S3, Google Cloud Storage, Azure, SFTP, …"""

from __future__ import annotations

import contextlib
import datetime
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, cast

from sweeper.errors import ArtifactError
from sweeper.provenance.secret import masked_text
from sweeper.provenance.store import Blob, StoredBlob, blob_path, digest_of, is_digest, missing, signature_path

_OBJECTS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss"})  # protocols
_FRESH_S = 12 * 3600.0  # how long a blob counts as used since it was written; nothing can be touched there


class RemoteStore:
    """Blobs under the same paths as in a folder; each is hashed first and sent only where it is not there yet."""

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url
        self._shown = masked_text(url)
        try:
            # An instance of its own: a transaction belongs to one.
            fs, root = fsspec.core.url_to_fs(url, skip_instance_cache=True)
        except (ImportError, ValueError) as error:
            raise ArtifactError(
                f"{self._shown} cannot be opened ({error}): give a folder or a URL that fsspec knows"
            ) from error
        self._fs: Any = fs
        self._root = root.rstrip("/")
        self._one_at_a_time = threading.Lock()

    def put(self, content: BinaryIO) -> Blob:
        blob = digest_of(content)
        place = self._place(blob.sha256)
        with self._explained():
            found = self._found(place)
            if found is None or found.size != blob.size or found.used_at < time.time() - _FRESH_S:
                content.seek(0)
                self._make_folder(place)
                with self._one_at_a_time, self._fs.transaction, self._fs.open(place, "wb") as file:
                    # Within a transaction a file has its name once it is whole.
                    shutil.copyfileobj(content, file, 1 << 20)
        return blob

    def put_soon(self, content: BinaryIO) -> Blob:
        return self.put(content)

    def open(self, sha256: str) -> BinaryIO:
        place = self._place(sha256)
        with self._explained():
            try:
                return cast("BinaryIO", self._fs.open(place, "rb"))
            except FileNotFoundError as error:
                raise missing(sha256, self._shown) from error

    def discard(self, sha256: str, used_before: float) -> bool:
        place = self._place(sha256)
        with self._explained():
            found = self._found(place)
            if found is not None and found.used_at >= used_before:
                return False
            with contextlib.suppress(FileNotFoundError):
                self._fs.rm_file(place)
        return True

    def blobs(self) -> Iterator[StoredBlob]:
        with self._explained():
            try:
                below = self._fs.find(f"{self._root}/sha256", detail=True)
            except FileNotFoundError:
                return
        for path, info in below.items():
            name = path.rpartition("/")[2]
            if is_digest(name):
                yield StoredBlob(name, int(info["size"]), self._modified_at(path, info))

    def link(self, sha256: str, alias: str) -> None:
        """An object has one name."""

    def sign(self, database: str) -> None:
        note = f"{self._root}/{signature_path(database)}"
        with self._explained():
            if not self._fs.exists(note):
                self._make_folder(note)
                self._fs.pipe_file(note, database.encode())

    def databases(self) -> Mapping[str, str]:
        with self._explained():
            try:
                notes = self._fs.find(f"{self._root}/databases")
            except FileNotFoundError:
                return {}
            return {note: self._fs.cat_file(note).decode() for note in notes}

    def _make_folder(self, place: str) -> None:
        """Make the folder of a file. Object stores have none, and would make a bucket of the name that is misspelt."""
        protocols = self._fs.protocol
        if _OBJECTS.isdisjoint([protocols] if isinstance(protocols, str) else protocols):
            self._fs.makedirs(place.rpartition("/")[0], exist_ok=True)

    def _found(self, place: str) -> StoredBlob | None:
        self._fs.invalidate_cache(place.rpartition("/")[0])
        try:
            info = self._fs.info(place)
        except FileNotFoundError:
            return None
        return StoredBlob(place.rpartition("/")[2], int(info["size"]), self._modified_at(place, info))

    def _modified_at(self, path: str, info: dict[str, Any]) -> float:
        """When a file was written; what a listing says of it is used where it can be, to ask once for all."""
        moment = next((info[key] for key in ("LastModified", "mtime", "last_modified") if key in info), None)
        if moment is None:
            moment = self._fs.modified(path)
        return moment.timestamp() if isinstance(moment, datetime.datetime) else float(moment)

    def _place(self, sha256: str) -> str:
        return f"{self._root}/{blob_path(sha256)}"

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Say in one sentence what went wrong; each protocol has exceptions of its own."""
        try:
            yield
        except ArtifactError:
            raise
        except (OSError, ValueError, RuntimeError) as error:
            text = masked_text(" ".join(str(error).split()))
            raise ArtifactError(f"the store {self._shown} cannot be used ({type(error).__name__}: {text})") from error
