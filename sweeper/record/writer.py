"""One thread at a time that writes: whatever waits when it looks goes into one transaction, in order.

That is the writer's own thread, or one that cannot go on before its write is durable and finds nobody writing: to hand
the write over and to be told of its end costs as much as the write. Whatever goes wrong is for the writer's thread.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from sweeper.errors import StorageError
from sweeper.record.batch import Write
from sweeper.record.database import Database
from sweeper.record.failure import is_outage, is_refusal, reason
from sweeper.record.link import Link
from sweeper.record.outage import Health, Outage
from sweeper.record.transaction import Transaction, Transactions
from sweeper.record.waiting import Answer, Waiting, resolve, running

_DEADLINE_S = 0.2  # a deferred write is durable after this, when no other takes it along earlier
_MOST = 5_000  # writes in one transaction
_PAUSES_S = (*(0.005, 0.01, 0.02, 0.05), *(0.1, 0.2, 0.5, 1.0))  # between attempts while the database takes nothing

FAREWELL_S = 3.5  # how long a process that wants to end waits for a database that is out of reach
_STALL_S = 1.0  # a writer in a hurry that has written nothing for so long, though it should, writes nothing any more

T = TypeVar("T")


class Writer:
    """Writes to one database, for one process."""

    def __init__(self, database: Database) -> None:
        self.link = Link(database)
        self._transactions = Transactions(self.link)
        self._changed = threading.Condition()
        self._queue: deque[Waiting] = deque()
        self._given = 0
        self._done = 0
        self._urgent = 0
        self._current: Transaction | None = None  # the one that is under way
        self._by: int | None = None  # the thread that sees to it; None: it is left to the writer's own
        self._is_asleep = False  # the writer's thread, until somebody wakes it
        self._moved_at = 0.0  # when something was written last, or came to be written after nothing was
        self._close_by: float | None = None
        self._is_hurried = False
        self._has_parted = False
        self._is_through = False  # closed, and nothing is left to write
        self._thread: threading.Thread | None = None
        self._outage = Outage(database.url)

    def submit(self, write: Write[T], committed: Callable[[T], None] | None = None) -> Future[T]:
        """Write as soon as possible; the future resolves when this and all that was given before is durable.

        `committed` is called with the result before anybody else can read or write through the link.
        """
        future = running()
        with self._changed:
            self._put(write, committed, future, is_urgent=True)
            self._changed.notify_all()
        return future

    def perform(self, write: Write[T], committed: Callable[[T], None] | None = None) -> T:
        """As `submit`, for somebody who waits: returns when the write is durable, or raises what went wrong."""
        future: Future[T] = running()
        mine = None
        try:
            with self._changed:
                self._put(write, committed, future, is_urgent=True)
                mine = self._take() if self._current is None and self.link.is_up() else None
                if mine is None:
                    self._changed.notify_all()
            if mine is not None:
                self._transactions.attempt(mine)
                self._settle(mine, mine.answers)
        except BaseException as error:
            self._leave()
            if mine is None or not isinstance(error, Exception):
                raise
        return future.result()

    def submit_soon(self, write: Write[T]) -> Future[T]:
        """As `submit`, but together with the next submitted write, or after 0.2 s; what goes wrong is logged too."""
        future = running()
        with self._changed:
            self._put(write, None, future, is_urgent=False)
        return future

    def defer(self, write: Write[Any]) -> None:
        """As `submit_soon`, for a write that nobody waits for."""
        with self._changed:
            self._put(write, None, None, is_urgent=False)

    def spool_to(self, path: Path) -> None:
        """From now on, keep what waits in this file while the database is out of reach."""
        self._outage.spool_to(path)

    def health(self) -> Health:
        """How the writer is doing at this moment."""
        return self._outage.health(self._given - self._done)

    def hurry(self) -> None:
        """The process is about to end: in 3.5 s, part with a database that does not take writes by then, as if by
        `close`, and whatever a thread of this process is waiting for.
        """
        with self._changed:
            if self._is_hurried:
                return
            self._is_hurried = True
        until = time.monotonic() + FAREWELL_S
        threading.Thread(target=self._watch_the_clock, args=(until,), name="sweeper-parting", daemon=True).start()

    @property
    def has_parted(self) -> bool:
        """Whether the database was given up: all writes fail by now, and those that can be kept are in the spool."""
        return self._has_parted

    def close(self) -> None:
        """Write what is left, then let go of the database.

        What a database out of reach has not taken after 3.5 s stays in the spool; without one it fails.
        """
        with self._changed:
            self._close_by = time.monotonic() + FAREWELL_S
            self._changed.notify_all()
            if self._thread is not None:
                self._changed.wait_for(lambda: self._is_through or self._has_parted)
        self._outage.end()
        self.link.close()

    def _put(
        self, write: Write[T], committed: Callable[[T], None] | None, future: Future[T] | None, *, is_urgent: bool
    ) -> None:
        if self._close_by is not None:
            raise StorageError(f"{self.link.name} was closed and takes no more writes: open it again")
        now = time.monotonic()
        if self._given == self._done:
            self._moved_at = now
        self._given += 1
        self._queue.append(Waiting(write, committed, future, is_urgent, self._given, now))
        if self._has_parted:
            self._give_up()
            return
        self._urgent += is_urgent
        if self._is_asleep:
            self._is_asleep = False
            self._changed.notify_all()  # the deadline starts now
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="sweeper-writer", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while transaction := self._next():
            self._write(transaction)
        with self._changed:
            self._is_through = True
            self._changed.notify_all()

    def _next(self) -> Transaction | None:
        """Wait until something is due and take all there is; nothing once closed and done."""
        with self._changed:
            while (left_s := self._left_s()) is None or left_s > 0:
                self._is_asleep = left_s is None
                self._changed.wait(left_s)
            self._is_asleep = False
            self._by = threading.get_ident()
            return self._current or self._take()

    def _left_s(self) -> float | None:
        """For how long the writer's thread has nothing to do; None until somebody wakes it."""
        if self._current is not None:
            return None if self._by is not None else 0.0
        if self._urgent or self._close_by is not None:
            return 0.0
        return self._queue[0].since + _DEADLINE_S - time.monotonic() if self._queue else None

    def _take(self) -> Transaction | None:
        """Begin a transaction of what waits, if anything does. An interruption leaves it taken or not, but whole."""
        waiting = list(self._queue)
        transaction = self._transactions.of(waiting[:_MOST])
        self._by = threading.get_ident()
        if waiting:
            self._queue, self._current = deque(waiting[_MOST:]), transaction
            self._urgent = sum(one.is_urgent for one in self._queue)
        return self._current

    def _leave(self) -> None:
        """Leave to the writer's thread what this one has begun and not brought to an end."""
        with self._changed:
            if self._by == threading.get_ident():
                self._by = None
            self._changed.notify_all()

    def _write(self, transaction: Transaction) -> None:
        """Commit, however long it takes; a write that the database refuses fails alone."""
        taken = transaction.taken
        for attempt in itertools.count():
            try:
                self._transactions.attempt(transaction)
                break
            except Exception as error:
                if self._has_parted:
                    return
                if not is_outage(error):
                    self._isolate(transaction, error)
                    return
                self._bear(taken, error)
            if not self._may_try_again(_PAUSES_S[min(attempt, len(_PAUSES_S) - 1)]):
                self._settle(transaction, [Answer(error=self._outage.farewell()) for _ in taken])
                return
        self._outage.over(taken[-1].ordinal)
        self._settle(transaction, transaction.answers)

    def _bear(self, taken: list[Waiting], error: Exception) -> None:
        self._outage.goes_on(reason(error))
        if self._outage.is_lasting():
            with self._changed:
                waiting = [*taken, *self._queue]
            self._outage.keep([(one.ordinal, one.write) for one in waiting])

    def _may_try_again(self, pause_s: float) -> bool:
        """Wait for a while; False once the time to close has come."""
        with self._changed:
            self._changed.wait_for(lambda: self._close_by is not None or self._has_parted, pause_s)
            return self._close_by is None or time.monotonic() < self._close_by

    def _watch_the_clock(self, until: float) -> None:
        """Part with the database once the time has come and it stands still; until then see whether all is written."""
        with self._changed:
            while not self._is_through:
                now = time.monotonic()
                if now >= until and self._stands_still(now):
                    self._part()
                    return
                self._changed.wait(max(until - now, _STALL_S / 10))

    def _stands_still(self, now: float) -> bool:
        waits_s = now - self._moved_at if self._given > self._done else 0.0
        return max(waits_s, self.link.held_s()) >= _STALL_S

    def _part(self) -> None:
        with self._changed:
            self._has_parted = True
            self.link.sever()
            self._give_up()
            self._changed.notify_all()

    def _give_up(self) -> None:
        """Keep what waits in the spool, where there is one, and say so to whoever waits for it."""
        under_way = [] if self._current is None else self._current.taken
        waiting = [*(one for one in under_way if one.ordinal > self._done), *self._queue]
        self._current = None
        self._queue.clear()
        self._done = self._given
        self._outage.keep([(one.ordinal, one.write) for one in waiting])
        for one in waiting:
            resolve(one, Answer(error=self._outage.farewell()))

    def _settle(self, transaction: Transaction, answers: list[Answer]) -> None:
        if self._has_parted:
            return  # those who waited have been told, and the spool has it: to write it twice changes nothing
        for waiting, answer in zip(transaction.taken, answers, strict=True):
            resolve(waiting, answer)
        with self._changed:
            self._done = max(self._done, transaction.taken[-1].ordinal)
            self._moved_at = time.monotonic()
            if self._current is not None and self._current.taken[-1].ordinal <= self._done:
                self._current = None
            if self._queue or self._close_by is not None:
                self._changed.notify_all()

    def _isolate(self, transaction: Transaction, error: Exception) -> None:
        if len(transaction.taken) > 1:
            for waiting in transaction.taken:
                self._write(self._transactions.of([waiting]))
            return
        if is_refusal(error):
            refused = StorageError(f"{self.link.name} refused to store a value: {reason(error)}")
            refused.__cause__ = error
            error = refused
        self._settle(transaction, [Answer(error=error)])
