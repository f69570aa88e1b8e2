"""Where artifacts lie: blobs named by the sha256 of their content, so that the same bytes are stored once.

A store is a folder by default and any fsspec URL (s3://, gs://, …) otherwise; both pass one contract
(tests/contracts/store.py). A blob is written beside its place and then moved, so that what has a name is whole:

    ROOT/sha256/3f/3f786850e387550fdac8…   the content, never changed once it is there
    ROOT/optuna/<sha256>-3f786850          a second link to it, for Optuna's FileSystemArtifactStore("ROOT/optuna")
    ROOT/databases/8f14e45f                the name of a database that points to blobs here
    ROOT/incoming/                         what is being written; left over only where a writer was killed

The name inside a run, its kind and its size are the record's; a store knows bytes alone, and may be moved.
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from sweeper.errors import ArtifactError, NotFound

_CHUNK_BYTES = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@dataclass(frozen=True, slots=True)
class Blob:
    """Stored content: its sha256 in hex, and its size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob as a listing finds it."""

    sha256: str
    size: int
    used_at: float  # when it was last put, seconds since the epoch


class Store(Protocol):
    """Content by its hash. Every method raises ArtifactError where the store cannot be used."""

    url: str  # as it may be opened again, absolute

    def put(self, content: BinaryIO) -> Blob:
        """Store a seekable file from its beginning; durable when it returns, and free where the bytes are known."""
        ...

    def put_soon(self, content: BinaryIO) -> Blob:
        """As `put`, but a power cut within the next half minute may take it: for small things that come often."""
        ...

    def open(self, sha256: str) -> BinaryIO:
        """The content, to be read and closed. Raises NotFound where there is none."""
        ...

    def discard(self, sha256: str, used_before: float) -> bool:
        """Remove a blob unless it has been put at or after that time; whether it is gone."""
        ...

    def blobs(self) -> Iterator[StoredBlob]:
        """Every blob, in no order."""
        ...

    def link(self, sha256: str, alias: str) -> None:
        """Show a blob to Optuna under an id of its own, where the store can; the id begins with the digest."""
        ...

    def sign(self, database: str) -> None:
        """Note that a database points to blobs of this store; without it, others could take them for garbage."""
        ...

    def databases(self) -> Mapping[str, str]:
        """The databases that point to blobs of this store, each by the place of the note."""
        ...


def open_store(url: str) -> Store:
    """The store at a path, a file:// URL or any other URL of fsspec; nothing is created before the first `put`."""
    if url.startswith(("file://", "local://")):
        return FolderStore(Path(url.partition("://")[2]))
    if has_scheme(url):
        from sweeper.provenance.remote_store import RemoteStore

        return RemoteStore(url)
    if not url.strip():
        raise ArtifactError("the place of artifacts is empty: give a folder or a URL with hydra.sweeper.artifacts=…")
    return FolderStore(Path(url))


class FolderStore:
    """A store in a folder, which may lie on a file system that several machines share."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self.url = str(self.root)

    def put(self, content: BinaryIO) -> Blob:
        return self._put(content, os.fsync)

    def put_soon(self, content: BinaryIO) -> Blob:
        return self._put(content, lambda _: None)

    def _put(self, content: BinaryIO, settle: Callable[[int], None]) -> Blob:
        content.seek(0)
        beside = self.root / "incoming" / uuid.uuid4().hex
        try:
            with os.fdopen(_created(beside), "wb") as file:
                blob = _copied(content, file)
                place = self._place(blob.sha256)
                if _used_again(place, blob.size):
                    beside.unlink()
                else:
                    file.flush()
                    settle(file.fileno())
                    _move(beside, place)
        except BaseException as error:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise ArtifactError(f"the artifacts cannot be written to {self.root} ({error}): {_ADVICE}") from error
            raise
        return blob

    def open(self, sha256: str) -> BinaryIO:
        try:
            return self._place(sha256).open("rb")
        except FileNotFoundError as error:
            raise missing(sha256, self.url) from error
        except OSError as error:
            raise ArtifactError(f"the artifacts in {self.root} cannot be read ({error}): {_ADVICE}") from error

    def discard(self, sha256: str, used_before: float) -> bool:
        # Moved aside first: whoever puts the same bytes at this moment either has freshened the blob, which is seen
        # below, or finds none and writes it anew.
        place = self._place(sha256)
        aside = self.root / "incoming" / f"{sha256}-{uuid.uuid4().hex}"
        try:
            aside.parent.mkdir(parents=True, exist_ok=True)
            place.rename(aside)
            if aside.stat().st_mtime >= used_before:
                aside.rename(place)
                return False
            for link in (self.root / "optuna").glob(f"{sha256}-*"):
                link.unlink(missing_ok=True)
            aside.unlink()
        except FileNotFoundError:
            return True
        except OSError as error:
            raise ArtifactError(f"{sha256} cannot be removed from {self.root} ({error}): {_ADVICE}") from error
        return True

    def blobs(self) -> Iterator[StoredBlob]:
        for place in (self.root / "sha256").glob("*/*"):
            with suppress(FileNotFoundError):  # removed by somebody else meanwhile
                if is_digest(place.name):
                    found = place.stat()
                    yield StoredBlob(place.name, found.st_size, found.st_mtime)

    def link(self, sha256: str, alias: str) -> None:
        shown = self.root / "optuna" / alias
        with suppress(FileExistsError, PermissionError, NotImplementedError):  # some file systems have no links
            shown.parent.mkdir(parents=True, exist_ok=True)
            os.link(self._place(sha256), shown)

    def sign(self, database: str) -> None:
        note = self.root / signature_path(database)
        if not note.exists():
            beside = note.with_suffix(f".{uuid.uuid4().hex}")
            try:
                note.parent.mkdir(parents=True, exist_ok=True)
                beside.write_text(database, encoding="utf-8")
                beside.rename(note)
            except OSError as error:
                raise ArtifactError(f"{self.root} cannot be written ({error}): {_ADVICE}") from error

    def databases(self) -> Mapping[str, str]:
        return {str(note): note.read_text(encoding="utf-8") for note in (self.root / "databases").glob("????????")}

    def _place(self, sha256: str) -> Path:
        return self.root / blob_path(sha256)


_ADVICE = "name another place with hydra.sweeper.artifacts=… or $SWEEPER_ARTIFACTS"


def missing(sha256: str, where: str) -> NotFound:
    """What to raise for content that the store does not have."""
    return NotFound(
        f"the store {where} has no {sha256}: it was removed, or the artifacts were written to another place"
    )


def blob_path(sha256: str) -> str:
    """Where a blob lies below the root. Raises NotFound for a name that is no sha256, whatever it would point to."""
    if not is_digest(sha256):
        raise NotFound(f"{sha256!r:.100} is no sha256: 64 hexadecimal digits, lower case")
    return f"sha256/{sha256[:2]}/{sha256}"


def signature_path(database: str) -> str:
    """Where the note of a database lies below the root."""
    return f"databases/{hashlib.sha256(database.encode()).hexdigest()[:8]}"


def has_scheme(place: str) -> bool:
    """Whether a place is a URL and no path."""
    return _URL.match(place) is not None


def is_digest(name: str) -> bool:
    """Whether a name is that of a blob."""
    return _DIGEST.fullmatch(name) is not None


def digest_of(content: BinaryIO) -> Blob:
    """Hash a file from its beginning, without keeping it."""
    content.seek(0)
    return _copied(content, None)


def _created(path: Path) -> int:
    """A new file, open; its folder is made where there is none yet, which is seldom."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        return os.open(path, flags, 0o444)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, flags, 0o444)


def _move(file: Path, place: Path) -> None:
    try:
        file.rename(place)
    except FileNotFoundError:
        place.parent.mkdir(parents=True, exist_ok=True)
        file.rename(place)


def _copied(content: BinaryIO, target: BinaryIO | None) -> Blob:
    hashed, size = hashlib.sha256(), 0
    while chunk := content.read(_CHUNK_BYTES):
        hashed.update(chunk)
        size += len(chunk)
        if target is not None:
            target.write(chunk)
    return Blob(hashed.hexdigest(), size)


def _used_again(place: Path, size: int) -> bool:
    """Note that a blob is used now, so that no collection takes it for forgotten; False where it is to be written."""
    try:
        os.utime(place)
        return place.stat().st_size == size  # a power cut may have left less
    except (FileNotFoundError, PermissionError):  # another user's blob is replaced by the same bytes
        return False
