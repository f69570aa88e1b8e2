"""A run's files, found by name and written to a folder."""

from __future__ import annotations

import fnmatch
import hashlib
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import IO, BinaryIO

from sweeper.errors import ArtifactError, NotFound
from sweeper.history import ArtifactRow, History, RunRow, TrialName
from sweeper.provenance.artifact import checked_name
from sweeper.provenance.secret import MASK
from sweeper.provenance.store import Store, open_store


def run_of(history: History, name: TrialName, attempt: int | None = None) -> RunRow:
    """A trial's newest run, or the attempt of that number, from 0. Raises NotFound."""
    runs = history.trial(name.study, name.number).runs
    if not runs:
        raise NotFound(f"{name} was not run by sweeper: nothing of it is in a store")
    found = [run for run in runs if attempt is None or run.attempt == attempt]
    if not found:
        raise NotFound(f"{name} has no attempt {attempt}: its attempts are 0 to {runs[-1].attempt}")
    return found[-1]


def matching(rows: Sequence[ArtifactRow], names: Sequence[str], where: str) -> list[ArtifactRow]:
    """The files of these names, folders or patterns, in order; all where no name is given. Raises NotFound."""
    if not names:
        return list(rows)
    found: dict[str, ArtifactRow] = {}
    for name in names:
        hits = [row for row in rows if _is_meant(row.name, name.rstrip("/"))]
        if not hits:
            there = ", ".join(row.name for row in rows) or "nothing"
            raise NotFound(f"{where} keeps no {name!r}: it keeps {there}")
        found |= {row.name: row for row in hits}
    return list(found.values())


def store_for(row_store: str | None, given: str | None) -> Store:
    """The store that the user names, else the one on record, which may have moved since. Raises ArtifactError."""
    url = given or row_store
    if url is None or MASK in url:
        raise ArtifactError("the record does not say which store to read: name it with --artifacts URL")
    return open_store(url)


def write(rows: Sequence[ArtifactRow], folder: Path, store_url: str | None) -> list[Path]:
    """Write files below a folder under their names, their hashes checked; returns where they are.

    Raises ArtifactError where a file of that name with other content is there, or the store's content is not what was
    stored; NotFound for what is not in the store.
    """
    written = []
    for row in rows:
        target = folder / checked_name(row.name)
        if not target.resolve().is_relative_to(folder.resolve()):
            raise ArtifactError(f"{target} leads out of {folder} by a link: give another folder with --to")
        _write_one(row, target, store_for(row.store, store_url))
        written.append(target)
    return written


def checked_copy(source: IO[bytes], target: IO[bytes], sha256: str, what: str) -> None:
    """Copy content whose sha256 is known. Raises ArtifactError, after all is copied, where it is other content."""
    hashed = hashlib.sha256()
    while chunk := source.read(1 << 20):
        hashed.update(chunk)
        target.write(chunk)
    if hashed.hexdigest() != sha256:
        raise ArtifactError(f"{what} is damaged: its content has changed since it was stored; try `sweeper verify`")


def _write_one(row: ArtifactRow, target: Path, store: Store) -> None:
    if row.sha256 is None:
        raise NotFound(f"{row.name} could not be kept when it was saved: {row.error}")
    if target.exists():
        with target.open("rb") as there:
            if hashlib.file_digest(there, "sha256").hexdigest() == row.sha256:
                return
        raise ArtifactError(f"{target} is there already with other content: remove it, or write elsewhere with --to")
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{uuid.uuid4().hex}")
    try:
        with store.open(row.sha256) as content, beside.open("xb") as file:
            checked_copy(content, file, row.sha256, row.name)
        beside.rename(target)
    finally:
        beside.unlink(missing_ok=True)


def opened(row: ArtifactRow, store_url: str | None) -> BinaryIO:
    """One file's content, to be read and closed. Raises NotFound."""
    if row.sha256 is None:
        raise NotFound(f"{row.name} could not be kept when it was saved: {row.error}")
    return store_for(row.store, store_url).open(row.sha256)


def print_to(row: ArtifactRow, stream: BinaryIO, store_url: str | None) -> None:
    """Write one file's content to a stream. Raises NotFound."""
    with opened(row, store_url) as content:
        shutil.copyfileobj(content, stream)


def beginning(sha256: str, store_url: str | None, given: str | None, most: int) -> str:
    """The first `most` bytes of a text in a store. Raises NotFound."""
    with store_for(store_url, given).open(sha256) as content:
        return content.read(most).decode("utf-8", "replace")


def _is_meant(name: str, asked: str) -> bool:
    return name == asked or name.startswith(f"{asked}/") or fnmatch.fnmatchcase(name, asked)
