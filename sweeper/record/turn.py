"""A line for SQLite's one write lock, so that of many processes each gets its turn and none starves.

SQLite lets who finds the database locked sleep for up to 0.1 s and try again, and the unlucky ones try for long: of
sixteen writers some waited 1 s. The kernel serves those who wait for a lock on a file in order. The file here is the
write-ahead log, on which SQLite itself sets no locks (https://sqlite.org/walformat.html, "WAL Locks"), so that nothing
lies about that was not there before.

The line is a courtesy and never a condition: what keeps writers apart is SQLite's own lock, as ever. Who does not take
part (Optuna), or has the place in line taken away (SQLite closing its log in another connection of this process drops
the process's locks on it), only makes somebody sleep. The lock is of the kind that dies with its process and is not
inherited, so that no orphan can hold up the line.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from contextlib import suppress
from pathlib import Path


class Turn:
    """This process's place in the line; used by one thread at a time."""

    def __init__(self, database: Path) -> None:
        self._log = database.with_name(database.name + "-wal")
        self._descriptor: int | None = None
        self._changed = threading.Condition()
        self._is_wanted = False
        self._is_held = False
        self._is_in_line = False

    def take(self, patience_s: float) -> None:
        """Wait until it is this process's turn; raises what SQLite raises when it has waited for too long."""
        with self._changed:
            self._is_wanted = True
            if not self._is_in_line:
                self._open()
                if self._descriptor is None or self._is_free(self._descriptor):
                    return
                # Nothing ends the kernel's waiting early, so that it is another thread that waits.
                self._is_in_line = True
                threading.Thread(target=self._wait, args=(self._descriptor,), name="sweeper-turn", daemon=True).start()
            if not self._changed.wait_for(lambda: not self._is_in_line, patience_s):
                self._is_wanted = False
                raise sqlite3.OperationalError("database is locked by another process")

    def leave(self) -> None:
        """Let the next one have its turn."""
        with self._changed:
            self._is_wanted = False
            if self._is_held and self._descriptor is not None:
                self._is_held = False
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Leave the line for good."""
        self.leave()
        with self._changed:
            if self._descriptor is not None and not self._is_in_line:
                self._let_go(self._descriptor)

    def _open(self) -> None:
        """Hold the log that is there now: the last connection to a database removes it, the next one makes another."""
        if self._descriptor is not None and os.fstat(self._descriptor).st_nlink == 0:
            self._let_go(self._descriptor)
        if self._descriptor is None:
            with suppress(OSError):  # without a log there is nobody to wait for
                self._descriptor = os.open(self._log, os.O_RDWR | os.O_CLOEXEC)

    def _let_go(self, descriptor: int) -> None:
        """Close the log; the kernel takes the lock back with it."""
        os.close(descriptor)
        self._descriptor = None

    def _is_free(self, descriptor: int) -> bool:
        """Take the lock if nobody has it."""
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        self._is_held = True
        return True

    def _wait(self, descriptor: int) -> None:
        """Stand in line; whoever sent this thread may have given up by the time it is served."""
        held = False
        with suppress(OSError):
            fcntl.lockf(descriptor, fcntl.LOCK_EX)
            held = True
        with self._changed:
            self._is_in_line = False
            self._is_held = held and self._is_wanted
            if not self._is_wanted:
                self._let_go(descriptor)
            self._changed.notify_all()
