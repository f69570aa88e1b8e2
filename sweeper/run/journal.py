"""The journal of one run: every event as a line of JSON, appended and flushed before anything else is done with it.

It lies in the run's folder as `.sweeper/<run>.jsonl`. The database is its projection: (run, seq) names an event for
ever, so reading a journal twice stores nothing twice. A process killed in mid-write leaves at most one torn last line,
which no reader counts as an event.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import json
import math
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from optuna.trial import TrialState

from sweeper.trial import Ended, Event, Failure, Logged, Measured

ASSUMED = -1  # the seq of an end that the run did not write: any that it did write is later

_KINDS: Mapping[str, type[Event]] = {kind.__name__.lower(): kind for kind in get_args(Event)}
_MEASURED = re.compile(rb'(?:\{"event":"measured".*\n)+')
_json = json.JSONEncoder(separators=(",", ":")).encode
_FIELDS = {kind: tuple(f.name for f in dataclasses.fields(kind) if f.name != "run") for kind in _KINDS.values()}


def journal_path(folder: str | Path, run: str) -> Path:
    """Where the journal of `run` lies inside the output folder of its trial."""
    return Path(folder) / ".sweeper" / f"{run}.jsonl"


class Journal:
    """The writing end; `append` returns once the kernel has the line, so a `kill -9` right after loses nothing."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._cut_torn_line()

    def append(self, event: Event) -> None:
        """Write one event; raises OSError where the disk takes no more, and then leaves nothing of it."""
        line = encode(event)
        if os.write(self._descriptor, line) < len(line):
            self._cut_torn_line()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _cut_torn_line(self) -> None:
        """Remove what a writer who was killed, or a disk that was full, has left of a line: the next one would be
        appended to it, and neither could be read.
        """
        end = os.fstat(self._descriptor).st_size
        start, tail = end, b""
        while start > 0 and b"\n" not in tail:
            start = max(0, start - 4096)
            tail = os.pread(self._descriptor, end - start, start)
        whole = start + tail.rfind(b"\n") + 1
        if whole < end:
            os.ftruncate(self._descriptor, whole)

    def close(self) -> None:
        os.close(self._descriptor)


class JournalReader:
    """The reading end of a journal that may still grow."""

    def __init__(self, path: Path, run: str) -> None:
        self._path = path
        self._run = run
        self._offset = 0

    def read(self) -> list[Event]:
        """The events written since the last call; none where the file does not exist yet."""
        return self._decoded(self._new())

    def read_on(self) -> list[Event]:
        """The same for whoever passes them on: measurements stay together, as they are."""
        text, start, events = self._new(), 0, list[Event]()
        for found in _MEASURED.finditer(text):
            events += self._decoded(text[start : found.start()])
            events.append(Logged(self._run, found[0].count(b"\n"), found[0]))
            start = found.end()
        return events + self._decoded(text[start:])

    def _new(self) -> bytes:
        """The lines written since the last call; one that is torn comes once it is whole."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                text = file.read()
        except FileNotFoundError:
            return b""
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole

    def _decoded(self, text: bytes) -> list[Event]:
        return [decode(line, self._run) for line in text.splitlines()]


def written(folder: str | Path, run: str) -> list[Event]:
    """Everything that the journal of a run says by now, as far as it is to be seen from here."""
    return JournalReader(journal_path(folder, run), run).read()


def seal(folder: str | Path, run: str, failure: Failure, error: str, stacks: str | None = None) -> list[Event]:
    """Give the journal of a run whose process is gone its end, unless it has one; returns the whole journal.

    Where the disk has no room for the end, it is returned all the same.
    """
    path = journal_path(folder, run)
    events = JournalReader(path, run).read()
    if events and isinstance(events[-1], Ended):
        return events
    end = _end(events, run, events[-1].seq + 1 if events else 0, failure, error, stacks)
    with contextlib.suppress(OSError):
        journal = Journal(path)
        try:
            journal.append(end)
        finally:
            journal.close()
    return [*events, end]


def so_far(folder: str | Path, run: str, heard: int, failure: Failure, error: str) -> list[Event]:
    """What the journal of a run that nobody can be asked about says from event `heard` on, and an end.

    The journal is read as far as it is to be seen from here. The run's process may be alive: nothing is written, and
    an end of this kind gives way to one that the run wrote itself.
    """
    events = JournalReader(journal_path(folder, run), run).read()
    if events and isinstance(events[-1], Ended):
        return events[heard:]
    return [*events[heard:], _end(events, run, ASSUMED, failure, error, None)]


def _end(events: list[Event], run: str, seq: int, failure: Failure, error: str, stacks: str | None) -> Ended:
    now = time.time()
    return Ended(
        run=run,
        seq=seq,
        time=now,
        state=TrialState.FAIL,
        failure=failure,
        error=error,
        traceback=stacks,
        runtime_s=max(0.0, now - events[0].time) if events else 0.0,
    )


def encode(event: Event) -> bytes:
    """One line of JSON, newline included. NaN and infinities stand as Python's json writes them."""
    if type(event) is Measured:  # training waits for it, and this takes a third of the time
        metrics = ",".join(
            [
                f"{_quoted(name)}:{value!r}" if -math.inf < value < math.inf else f"{_quoted(name)}:{_json(value)}"
                for name, value in event.metrics.items()
            ]
        )
        return (
            f'{{"event":"measured","seq":{event.seq},"time":{event.time!r},"step":{event.step},'
            f'"metrics":{{{metrics}}}}}\n'.encode()
        )
    row: dict[str, Any] = {"event": type(event).__name__.lower()}
    for name in _FIELDS[type(event)]:
        value = getattr(event, name)
        row[name] = value.name if isinstance(value, TrialState) else value
    return _json(row).encode() + b"\n"


@functools.lru_cache(maxsize=4096)
def _quoted(name: str) -> str:
    return _json(name)


def decode(line: bytes, run: str) -> Event:
    """The event that `encode` wrote for `run`."""
    row = json.loads(line)
    kind = _KINDS[row.pop("event")]
    if kind is Ended:
        row["state"] = TrialState[row["state"]]
        row["failure"] = Failure(row["failure"]) if row["failure"] else None
    fields: dict[str, Any] = {name: tuple(value) if type(value) is list else value for name, value in row.items()}
    return kind(run=run, **fields)
