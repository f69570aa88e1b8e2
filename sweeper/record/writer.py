"""One thread that writes: whatever waits when it looks goes into one transaction, in order, exactly once.

A write decides within the transaction, where nobody else can change what it read, and says what to store; the
rows of all writes then go to the database together. A transaction carries its writer's own number, so that
one whose answer was lost after COMMIT is recognised when the connection is back, and neither lost nor done
twice.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection

from sweeper.errors import StorageError
from sweeper.record.batch import Batch, Write
from sweeper.record.database import Database
from sweeper.record.failure import is_outage, is_refusal, reason
from sweeper.record.link import Link
from sweeper.record.outage import Health, Outage
from sweeper.record.statement import Sql, upsert
from sweeper.record.tables import writers

_log = logging.getLogger(__name__)

_DEADLINE_S = 0.2  # a deferred write is durable after this, when no other takes it along earlier
_MOST = 5_000  # writes in one transaction
_PAUSES_S = (
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    1.0,
)  # between attempts while the database cannot be written

FAREWELL_S = 5.0  # how long closing waits for a database that is out of reach

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Waiting:
    write: Write[Any]
    committed: Callable[[Any], None] | None
    future: Future[Any] | None  # None for a deferred write: nobody waits for it
    is_urgent: bool
    ordinal: int
    since: float


@dataclass(frozen=True, slots=True)
class _Answer:
    value: Any = None
    error: Exception | None = None


class Writer:
    """Writes to one database, for one process."""

    def __init__(self, database: Database) -> None:
        self.link = Link(database)
        mark = upsert(database.dialect, writers, "seq", "written_at", later="seq").returning(writers.c.seq)
        self._mark = Sql(database.dialect, mark)
        self._key = uuid.uuid4().hex
        self._seq = 0
        self._changed = threading.Condition()
        self._queue: deque[_Waiting] = deque()
        self._given = 0
        self._done = 0
        self._urgent = 0
        self._close_by: float | None = None
        self._thread: threading.Thread | None = None
        self._outage = Outage(database.url)

    def submit(self, write: Write[T], committed: Callable[[T], None] | None = None) -> Future[T]:
        """Write as soon as possible; the future resolves when this and all that was given before is durable.

        `committed` is called with the result before anybody else can read or write through the link.
        """
        future = _running()
        self._put(write, committed, future, is_urgent=True)
        return future

    def submit_soon(self, write: Write[T]) -> Future[T]:
        """As `submit`, but together with the next submitted write, or after 0.2 s; what goes wrong is logged too."""
        future = _running()
        self._put(write, None, future, is_urgent=False)
        return future

    def defer(self, write: Write[Any]) -> None:
        """As `submit_soon`, for a write that nobody waits for."""
        self._put(write, None, None, is_urgent=False)

    def spool_to(self, path: Path) -> None:
        """From now on, keep what waits in this file while the database is out of reach."""
        self._outage.spool_to(path)

    def health(self) -> Health:
        """How the writer is doing at this moment."""
        return self._outage.health(self._given - self._done)

    def close(self) -> None:
        """Write what is left, then let go of the database.

        What a database out of reach has not taken after 5 s stays in the spool; without one it fails.
        """
        with self._changed:
            self._close_by = time.monotonic() + FAREWELL_S
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        self._outage.end()
        self.link.close()

    def _put(
        self, write: Write[T], committed: Callable[[T], None] | None, future: Future[T] | None, *, is_urgent: bool
    ) -> None:
        with self._changed:
            if self._close_by is not None:
                raise StorageError(f"{self.link.name} was closed and takes no more writes: open it again")
            self._given += 1
            self._queue.append(_Waiting(write, committed, future, is_urgent, self._given, time.monotonic()))
            if is_urgent:
                self._urgent += 1
                self._changed.notify_all()
            elif len(self._queue) == 1:
                self._changed.notify_all()  # the deadline starts now
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sweeper-writer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while taken := self._next():
            self._write(taken)

    def _next(self) -> list[_Waiting]:
        """Wait until something is due and take all there is; nothing once closed and done."""
        with self._changed:
            while not self._urgent and self._close_by is None:
                left = self._queue[0].since + _DEADLINE_S - time.monotonic() if self._queue else None
                if left is not None and left <= 0:
                    break
                self._changed.wait(left)
            taken = [self._queue.popleft() for _ in range(min(len(self._queue), _MOST))]
            self._urgent -= sum(1 for waiting in taken if waiting.is_urgent)
            return taken

    def _write(self, taken: list[_Waiting]) -> None:
        """Commit what was taken, however long it takes; a write that the database refuses fails alone."""
        self._seq += 1
        answers: list[_Answer] = []
        for attempt in itertools.count():
            try:
                with self.link.writing() as connection:
                    self._transact(connection, taken, answers)
                    _announce(taken, answers)
                break
            except Exception as error:
                if not is_outage(error):
                    self._isolate(taken, error)
                    return
                self._bear(taken, error)
            if not self._may_try_again(_PAUSES_S[min(attempt, len(_PAUSES_S) - 1)]):
                self._settle(taken, [_Answer(error=self._outage.farewell()) for _ in taken])
                return
        self._outage.over(taken[-1].ordinal)
        self._settle(taken, answers)

    def _bear(self, taken: list[_Waiting], error: Exception) -> None:
        self._outage.goes_on(reason(error))
        if self._outage.is_lasting():
            with self._changed:
                waiting = [*taken, *self._queue]
            self._outage.keep([(one.ordinal, one.write) for one in waiting])

    def _may_try_again(self, pause_s: float) -> bool:
        """Wait for a while; False once the time to close has come."""
        with self._changed:
            self._changed.wait_for(lambda: self._close_by is not None, pause_s)
            return self._close_by is None or time.monotonic() < self._close_by

    def _settle(self, taken: list[_Waiting], answers: list[_Answer]) -> None:
        self._done = taken[-1].ordinal
        for waiting, answer in zip(taken, answers, strict=True):
            _resolve(waiting, answer)

    def _transact(self, connection: Connection, taken: list[_Waiting], answers: list[_Answer]) -> None:
        """Commit the writes, with what they came to in `answers`; they stay as they are where the attempt before was
        committed, and only the answer to it was lost.
        """
        batch = Batch(connection)
        for waiting in taken:
            waiting.write.prepare(batch)
        with batch.together():
            self.link.begin(connection)
            mark = self._put_mark(connection)
            batch.fetch()
        if mark is not None and mark.fetchone() is None:
            self.link.roll_back(connection)
            return
        answers[:] = [_answer(waiting.write, batch) for waiting in taken]
        with batch.together():
            batch.flush()
            self.link.commit(connection)

    def _put_mark(self, connection: Connection) -> Any:
        """Mark the transaction with its number; no row comes back when that number is in the database already.

        An earlier attempt whose end the server has not decided yet holds the writer's row: this waits for it. SQLite
        has no wire on which an answer could be lost: a COMMIT that failed there was none.
        """
        if self.link.dialect == "sqlite":
            return None
        row = {"writer": self._key, "seq": self._seq, "written_at": time.time()}
        return self._mark.run(connection, row)

    def _isolate(self, taken: list[_Waiting], error: Exception) -> None:
        if len(taken) > 1:
            for waiting in taken:
                self._write([waiting])
            return
        if is_refusal(error):
            refused = StorageError(f"{self.link.name} refused to store a value: {reason(error)}")
            refused.__cause__ = error
            error = refused
        self._settle(taken, [_Answer(error=error)])


def _running() -> Future[Any]:
    """A write cannot be taken back, not by an asyncio task either."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    return future


def _answer(write: Write[Any], batch: Batch) -> _Answer:
    try:
        return _Answer(write.apply(batch))
    except Exception as error:
        if is_refusal(error):
            raise  # it has ended the transaction
        return _Answer(error=error)


def _announce(taken: list[_Waiting], answers: list[_Answer]) -> None:
    for waiting, answer in zip(taken, answers, strict=True):
        if waiting.committed is not None and answer.error is None:
            waiting.committed(answer.value)


def _resolve(waiting: _Waiting, answer: _Answer) -> None:
    if answer.error is not None and not waiting.is_urgent:
        _log.error("not stored: %s", answer.error)
    if waiting.future is None:
        return
    if answer.error is not None:
        waiting.future.set_exception(answer.error)
    else:
        waiting.future.set_result(answer.value)
