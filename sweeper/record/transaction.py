"""One transaction of many writes, committed exactly once.

A write decides within the transaction, where nobody else can change what it read, and says what to store; the rows of
all writes then go to the database together. On PostgreSQL it may have decided before, by what is known, and all goes
there at once. A transaction carries its writer's own number, so that one whose answer was lost after COMMIT is
recognised when the connection is back, and neither lost nor done twice.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Connection

from sweeper.record.batch import Batch, Foreseen, Unforeseen
from sweeper.record.known import Known, KnownRows
from sweeper.record.link import Link
from sweeper.record.optuna_rows import OptunaRows
from sweeper.record.statement import Sql, raw, upsert
from sweeper.record.tables import writers
from sweeper.record.waiting import Answer, Waiting, announce, answered


@dataclass(slots=True)
class Transaction:
    """Writes that are committed together, and how far that has come."""

    taken: list[Waiting]
    seq: int
    answers: list[Answer] = field(default_factory=list)  # as of the last attempt
    is_new: bool = True  # not attempted yet
    is_committing: bool = False
    is_committed: bool = False


class Transactions:
    """Those of one writer, one after the other."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._mark = _mark(link.dialect)
        self._known = Known()
        self._key = uuid.uuid4().hex
        self._seq = 0

    def of(self, taken: list[Waiting]) -> Transaction:
        """A new one."""
        self._seq += 1
        return Transaction(taken, self._seq)

    def attempt(self, transaction: Transaction) -> None:
        """Commit it, and tell those who want to know before anybody else.

        After whatever is raised, an interruption included, it may be attempted again.
        """
        with self._link.writing() as connection:
            if not transaction.is_committed:
                try:
                    if not self._foresee(connection, transaction):
                        self._transact(connection, transaction)
                except Exception:
                    self._known.forget()
                    raise
                except BaseException:  # between two instructions: what the database has done is to be found out
                    self._known.forget()
                    transaction.is_committed = transaction.is_committing and self._link.has_committed(connection)
                    raise
                transaction.is_committed = True
            announce(transaction.taken, transaction.answers)

    def _foresee(self, connection: Connection, transaction: Transaction) -> bool:
        """Commit in one round trip what can be decided by what is known; False where it cannot, or where it was wrong.

        Where the answer is lost, the next attempt finds the mark.
        """
        is_new, transaction.is_new = transaction.is_new, False
        if not is_new or self._link.dialect == "sqlite":
            return False
        rows = KnownRows(connection, self._known)
        batch = Foreseen(connection, OptunaRows, rows)
        try:
            for waiting in transaction.taken:
                waiting.write.prepare(batch)
            batch.fetch()
            transaction.answers = [answered(waiting.write, batch) for waiting in transaction.taken]
        except Unforeseen:
            return False
        try:
            self._send(connection, transaction.seq, batch, rows)
        except Exception:
            if raw(connection).closed:
                raise
            self._known.forget()
            self._link.roll_back(connection)
            return False
        self._known.learn(rows)
        return True

    def _send(self, connection: Connection, seq: int, batch: Batch, rows: KnownRows) -> None:
        """All at once. An error is kept until the end of it, or the driver would log what it hears after it."""
        failure: Exception | None = None
        with batch.together():
            try:
                self._link.begin(connection)
                self._put_mark(connection, seq)
                rows.guard()
                batch.flush()
                self._link.commit(connection)
            except Exception as error:
                failure = error
        if failure is not None:
            raise failure

    def _transact(self, connection: Connection, transaction: Transaction) -> None:
        """The answers stay as they are where the attempt before was committed, and only the word of it was lost."""
        transaction.is_committing = False
        batch = Batch(connection)
        for waiting in transaction.taken:
            waiting.write.prepare(batch)
        with batch.together():
            self._link.begin(connection)
            mark = self._put_mark(connection, transaction.seq)
            batch.fetch()
        if mark is not None and mark.fetchone() is None:
            self._link.roll_back(connection)
            return
        transaction.answers = [answered(waiting.write, batch) for waiting in transaction.taken]
        with batch.together():
            batch.flush()
            transaction.is_committing = True
            self._link.commit(connection)
        rows = batch.parts.get(OptunaRows)
        if isinstance(rows, OptunaRows) and self._link.dialect == "postgresql":
            self._known.learn(rows)

    def _put_mark(self, connection: Connection, seq: int) -> Any:
        """Mark the transaction with its number; no row comes back when that number is in the database already.

        An earlier attempt whose end the server has not decided yet holds the writer's row: this waits for it. SQLite
        has no wire on which an answer could be lost: a COMMIT that failed there was none.
        """
        if self._link.dialect == "sqlite":
            return None
        return self._mark.run(connection, {"writer": self._key, "seq": seq, "written_at": time.time()})


@cache
def _mark(dialect: str) -> Sql:
    return Sql(dialect, upsert(dialect, writers, "seq", "written_at", later="seq").returning(writers.c.seq))
