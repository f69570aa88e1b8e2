"""Which process drives a sweep, said so that a look at this machine's process table tells whether it still runs.

A pid alone would not do: it is given out again, and means something else in another container. Wall-clock times would
not do either: they move when the clock is set.
"""

from __future__ import annotations

import enum
import functools
import os
from pathlib import Path

_STATE, _START = 0, 19  # fields of /proc/PID/stat after the name, see proc(5)


class Fate(enum.Enum):
    """What this machine knows of a process."""

    RUNS = "runs"
    GONE = "gone"
    UNKNOWN = "unknown"  # it belongs to another machine or container


def identity(pid: int | None = None) -> str:
    """A process of this machine, by default this one: `BOOT:NAMESPACE:PID:START`."""
    pid = os.getpid() if pid is None else pid
    stat = _stat(pid)
    return f"{boot()}:{_namespace()}:{pid}:{stat[_START] if stat else 0}"


def fate(process: str) -> Fate:
    """Whether the process with this identity runs."""
    where, _, rest = process.rpartition(f":{_namespace()}:")
    pid, _, start = rest.partition(":")
    if where != boot() or not pid.isdigit():
        return Fate.UNKNOWN
    stat = _stat(int(pid))
    if stat is None or stat[_STATE] in "ZX" or stat[_START] != start:
        return Fate.GONE
    return Fate.RUNS


def boot_of(process: str) -> str:
    """The boot id within an identity."""
    return process.partition(":")[0]


@functools.cache
def boot() -> str:
    """The id of this machine's present boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _namespace() -> str:
    return str(Path("/proc/self/ns/pid").stat().st_ino)


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()  # the name before may hold anything
