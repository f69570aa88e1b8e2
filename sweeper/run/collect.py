"""What a run keeps of its files: what training code saves, and what is collected when it ends."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sweeper.provenance.artifact import CONFIG, LOG, Kept, checked_kind, files_below, keep, kind_of, name_of
from sweeper.provenance.data import digest
from sweeper.provenance.secret import masked_text
from sweeper.provenance.store import Store, open_store
from sweeper.run.journal import Journal, JournalReader, journal_path
from sweeper.trial import Ended, Saved, TrialSpec, Used

_HYDRA = ".hydra"


class Collection:
    """Hands the files of one run to the store; a file that has not changed since is handed over once."""

    def __init__(self, run: str, folder: str, store: str, patterns: Sequence[str]) -> None:
        """`store` is the URL of a store, empty for none; `patterns` are globs of what is kept when the run ends."""
        self._run = run
        self._folder = Path(folder)
        self._url = store
        self._patterns = patterns
        self._store: Store | None = None
        self._seen: dict[str, tuple[int, int]] = {}  # by name: size and time of the file that was kept

    def save(self, path: Path, kind: str | None, name: str | None) -> Iterator[Kept]:
        """A file, or every file of a folder. Raises ArtifactError for a kind that is none."""
        base = name_of(path, self._folder) if name is None else name
        for file, inside in files_below(path, base):
            yield self._keep(file, inside, kind_of(inside) if kind is None else checked_kind(kind))

    def at_end(self) -> Iterator[Kept]:
        """Logs, Hydra's files, and what the config's patterns name below the run's folder."""
        if not self._url:
            return
        for file in _ending(self._folder / _HYDRA, ".yaml"):
            yield self._keep(file, f"{_HYDRA}/{file.name}", CONFIG)
        for file in _ending(self._folder, ".log"):
            if file.stat().st_size:  # Hydra makes one for an app that logs nothing
                yield self._keep(file, file.name, LOG)
        for file, name in self._matching():
            if not self._is_kept(file, name):
                yield self._keep(file, name, kind_of(name))

    def _matching(self) -> Iterable[tuple[Path, str]]:
        found: dict[str, Path] = {}
        for pattern in self._patterns:
            for path in sorted(self._folder.glob(pattern)):
                found |= {name: file for file, name in files_below(path, name_of(path, self._folder))}
        return [(file, name) for name, file in found.items() if not name.startswith((".sweeper/", f"{_HYDRA}/"))]

    def _keep(self, path: Path, name: str, kind: str) -> Kept:
        if self._store is None:
            self._store = open_store(self._url)
        stamp = _stamp(path)
        kept = keep(path, name, kind, self._store, self._run)
        if kept.sha256 is not None and stamp is not None:
            self._seen[name] = stamp
        return kept

    def _is_kept(self, path: Path, name: str) -> bool:
        return name in self._seen and self._seen[name] == _stamp(path)


def collect_after_crash(run: str, folder: str, store: str, patterns: Sequence[str]) -> None:
    """Keep what a run has left whose process died before it could: its journal gets the events, but no end."""
    path = journal_path(folder, run)
    events = JournalReader(path, run).read()
    if not store or not path.exists() or (events and isinstance(events[-1], Ended)):
        return
    journal = Journal(path)
    found = Collection(run, folder, store, patterns).at_end()
    for seq, kept in enumerate(found, start=events[-1].seq + 1 if events else 0):
        journal.append(saved(run, seq, kept))
    journal.close()


def saved(run: str, seq: int, kept: Kept) -> Saved:
    """The event that says what was kept."""
    return Saved(run, seq, time.time(), kept.name, kept.kind, kept.size, kept.sha256, kept.error, kept.shown_as)


def used(spec: TrialSpec, seq: int, place: str, name: str) -> Used:
    """The event that says what data the run reads; what cannot be hashed is said in it, never raised."""
    shown = masked_text(place)
    try:
        found = digest(place)
        if found.manifest is not None and spec.artifacts:
            open_store(spec.artifacts).put(io.BytesIO(found.manifest))
    except Exception as error:
        why = masked_text(" ".join(str(error).split())) or type(error).__name__
        return Used(spec.run, seq, time.time(), name, shown, 0, 0, None, False, why)
    is_folder = found.manifest is not None
    return Used(spec.run, seq, time.time(), name, shown, found.files, found.size, found.sha256, is_folder)


def _ending(folder: Path, suffix: str) -> list[Path]:
    """The files of a folder with that ending; none where there is no folder. `Path.glob` takes ten times as long."""
    try:
        return [folder / name for name in sorted(found.name for found in os.scandir(folder)) if name.endswith(suffix)]
    except FileNotFoundError:
        return []


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
