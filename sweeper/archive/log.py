"""A trial's log: its end without the rest, and what has come since."""

from __future__ import annotations

import codecs
import os
import stat
from dataclasses import dataclass
from pathlib import Path

LOG = "trial.log"  # in the folder of each run

_TAIL_BYTES = 64 * 1024  # a single line of a hundred megabytes must not fill the memory


def tail(path: Path, n_lines: int) -> list[str] | None:
    """The last `n_lines` lines of a text file; None where it cannot be read."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            start = file.seek(max(end - _TAIL_BYTES, 0))
            text = file.read(_TAIL_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    lines = text.splitlines()
    if start > 0 and len(lines) > 1:
        lines = lines[1:]  # begun before what was read
    return lines[-n_lines:]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of a log, and the byte at which the next piece begins."""

    text: str
    end: int


def piece(path: Path, start: int | None) -> Piece | None:
    """What a log has from a byte on, at most 64 KiB; without `start`, or where the log is shorter, its end.

    None where there is no log, or no plain file of that name: a link could lead anywhere.
    """
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                return None
            begins = start is not None and start <= found.st_size
            at = file.seek(start if begins and start is not None else max(found.st_size - _TAIL_BYTES, 0))
            raw = file.read(_TAIL_BYTES)
    except OSError:
        return None
    if not begins and at > 0 and b"\n" in raw:
        begun = raw.index(b"\n") + 1
        at, raw = at + begun, raw[begun:]
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(raw)
    pending = len(decoder.getstate()[0])  # of a character whose end is yet to be written
    return Piece(text, at + len(raw) - pending)
