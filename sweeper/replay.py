"""Journals and spools that never reached the database, read from a folder and taken in."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

import optuna

from sweeper.errors import ConfigError, NotFound
from sweeper.history import History
from sweeper.record import Record, Storage
from sweeper.run.journal import JournalReader
from sweeper.takeover import settle

_RUN = re.compile(r"[0-9a-f]{32}")
_BATCH = 10_000  # events written at once


@dataclass(frozen=True)
class Replayed:
    """What was found in a folder."""

    runs: int  # whose journals were read
    events: int  # in them, known before or not
    spools: int  # left by drivers during an outage
    unknown: tuple[str, ...]  # journals of runs that this database has no record of


def replay(folder: Path, url: str) -> Replayed:
    """Take in what lies in a sweep's folder, and settle the trials of drivers that are dead. Twice changes nothing.

    A trial whose journal has its end is told so; one without goes back in line.

    Raises ConfigError where there is no such folder, NotFound where it has no journal, and StorageError.
    """
    journals = _journals(folder)
    history = History(url)  # raises where there is no database, and makes none
    spools = _spools(folder, history)
    with contextlib.closing(Storage(url)) as storage:
        record = Record(storage)
        for spool in spools:
            record.take_in(spool)
        studies = {study for path in journals if (study := _study_of(path.stem, history)) is not None}
        for study in sorted(studies):
            settle(optuna.load_study(study_name=study, storage=storage), storage, record)
        counts = {path: _take_in(path, record) for path in journals}
    return Replayed(
        runs=sum(count is not None for count in counts.values()),
        events=sum(count or 0 for count in counts.values()),
        spools=len(spools),
        unknown=tuple(str(path) for path, count in counts.items() if count is None),
    )


def _journals(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder: name the folder of a sweep, as multirun/2026-11-24/10-00-00")
    found = sorted(path for path in folder.glob("**/.sweeper/*.jsonl") if _RUN.fullmatch(path.stem))
    if not found:
        raise NotFound(f"there is no journal under {folder}: name the folder of a sweep, or one above it")
    return found


def _spools(folder: Path, history: History) -> list[Path]:
    """Those of sweeps on record here: a spool names trials by the ids that they have in its sweep's database alone."""
    sweeps = {sweep.sweep for study in history.studies() for sweep in history.sweeps(study.name)}
    found = sorted(folder.glob("**/.sweeper/spool-*.jsonl"))
    return [path for path in found if path.stem.removeprefix("spool-") in sweeps]


def _study_of(run: str, history: History) -> str | None:
    try:
        return history.run(run).study
    except NotFound:
        return None


def _take_in(path: Path, record: Record) -> int | None:
    """The number of events in a journal; None where its run is not on record."""
    events = JournalReader(path, path.stem).read()
    for start in range(0, len(events), _BATCH):
        try:
            record.heard(events[start : start + _BATCH]).result()
        except NotFound:
            return None
    return len(events)
