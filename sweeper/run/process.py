"""Processes as the kernel knows them: groups, children, and those that carry the marker of a slot.

What a trial leaves behind is found three ways, each of which finds what the others miss: by its process group, as
children of a subreaper, and by a variable in the environment that every process below a slot inherits.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import select
import signal
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

MARKER = "SWEEPER_SLOT"  # in the environment of everything below a slot; the value names the slot's own process
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SPARED = ("jemalloc_bg_thd",)  # gives memory back; jemalloc itself puts things right in a fork (pyarrow brings one)
_LIBC = ctypes.CDLL(None)
_PATIENCE_S = 5.0  # for the kernel to take away what was killed; a process in an uninterruptible call takes its time


def become_subreaper() -> None:
    """Adopt every descendant whose parent ends."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when `parent` ends, if it has not ended yet."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def signal_group(group: int, signal_number: int) -> None:
    """Signal every process of a group; none may be left of it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal_number)


def kill_children(but: Collection[int]) -> None:
    """Kill and reap all children of this process, those adopted included, until none is left but those."""
    while orphans := _children() - set(but):
        for orphan in orphans:
            _kill(orphan)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(orphan, 0)


def marker() -> str:
    """A value that marks what this process, as a slot, starts: its number, the moment it began, and some chance."""
    return f"{os.getpid()}:{_began(os.getpid())}:{secrets.token_hex(4)}"


def kill_marked(mark: str) -> None:
    """Kill everything that a slot has started, and wait until it is gone."""
    _kill_all(lambda value: value == mark)


def kill_leftovers() -> None:
    """Kill what slots that are no more have left on this machine."""
    _kill_all(lambda value: not _is_alive(value))


def thread_count() -> int:
    """The threads of this process that a fork would lack, those that Python knows nothing of included."""
    return sum(_name(thread) not in _SPARED for thread in Path("/proc/self/task").iterdir())


def _name(thread: Path) -> str:
    with contextlib.suppress(OSError):  # it has just ended
        return (thread / "comm").read_text().strip()
    return ""


def _kill_all(belongs: Callable[[str], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while found := [pid for pid, value in _marked() if belongs(value)]:
        for pid in found:
            _kill(pid)
            _wait_for(pid, deadline)
        if time.monotonic() > deadline:
            return


def _wait_for(pid: int, deadline: float) -> None:
    """Until the process has ended, whoever's child it is."""
    with contextlib.suppress(ProcessLookupError):
        ended = os.pidfd_open(pid)
        select.select([ended], [], [], max(0.0, deadline - time.monotonic()))
        os.close(ended)


def _marked() -> Iterator[tuple[int, str]]:
    """Processes with a slot's marker, as (pid, value); zombies have none."""
    prefix = f"{MARKER}=".encode()
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            for variable in (process / "environ").read_bytes().split(b"\0"):
                if variable.startswith(prefix):
                    yield int(process.name), variable.removeprefix(prefix).decode(errors="replace")


def _is_alive(mark: str) -> bool:
    with contextlib.suppress(OSError, ValueError):
        pid, began, _ = mark.split(":")
        return _began(int(pid)) == began
    return False


def _began(pid: int) -> str:
    """When a process began, in the kernel's own ticks: its number may be given out again, this moment never."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _children() -> set[int]:
    return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))
