"""What a writer knows, and keeps on disk, while its database is out of reach."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeper.errors import StorageError
from sweeper.record.batch import Write
from sweeper.record.spool import Spool

_log = logging.getLogger(__name__)

_BLIP_S = 1.0  # an outage shorter than this is not spooled


@dataclass(frozen=True, slots=True)
class Health:
    """How a writer is doing."""

    outage_s: float  # for how long the database has not taken writes; 0 while it does
    reason: str | None  # why not
    waiting: int  # writes that are not durable yet


class Outage:
    """The outage that is, if there is one."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._present: tuple[float, str] | None = None  # since when, why
        self._spool: Spool | None = None
        self._spooled = 0  # the ordinal of the last write in the spool
        self._is_full = False  # the disk of the spool takes nothing
        self._spooling = threading.Lock()

    def spool_to(self, path: Path) -> None:
        """Keep what waits in this file from now on."""
        self._spool = Spool(path)

    def health(self, waiting: int) -> Health:
        present = self._present
        if present is None:
            return Health(0.0, None, waiting)
        return Health(time.monotonic() - present[0], present[1], waiting)

    def goes_on(self, why: str) -> None:
        """The database was asked, and did not take the writes."""
        since = time.monotonic() if self._present is None else self._present[0]
        self._present = since, why

    def is_lasting(self) -> bool:
        """Whether it is time to keep what waits on disk."""
        return self._present is not None and time.monotonic() > self._present[0] + _BLIP_S

    def keep(self, waiting: Sequence[tuple[int, Write[Any]]]) -> None:
        """Put writes, in order and with their ordinals, into the spool, each once."""
        with self._spooling:
            new = [(ordinal, write) for ordinal, write in waiting if ordinal > self._spooled]
            if self._spool is None or not new:
                return
            try:
                self._spool.append([write for _, write in new])
            except OSError as error:
                if not self._is_full:
                    _log.warning("%s takes no more (%s): writes wait in memory alone", self._spool.path, error)
                self._is_full = True
            else:
                self._spooled = new[-1][0]
                self._is_full = False

    def over(self, done: int) -> None:
        """The database has taken the writes up to this ordinal."""
        self._present = None
        with self._spooling:
            if self._spool is not None and 0 < self._spooled <= done:
                self._spool.clear()
                self._spooled = 0

    def farewell(self) -> StorageError:
        """What to say of a write that is given up, for the process wants to end."""
        why = "it gives no answer" if self._present is None else self._present[1]
        text = f"{self._database} could not be reached ({why}), and what was not written "
        if self._spool is None or self._is_full:
            return StorageError(text + "is lost: look at the server or the disk")
        return StorageError(text + f"waits in {self._spool.path}: launch the study again, and it is taken in")

    def end(self) -> None:
        """The writer is closed; a spool that is not empty stays."""
        with self._spooling:
            if self._spool is not None:
                self._spool.close()
