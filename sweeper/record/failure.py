"""What a failure of the database means: whether it passes, and how to say it in a line."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError

# SQLSTATEs after which the same transaction may succeed later: connection lost, rolled back (deadlock,
# serialization), no resources, operator intervention, system error, a standby that is still read-only, a lock.
_PASSING = ("08", "40", "53", "57", "58", "25006", "55P03")
_PASSING_SQLITE = ("locked", "full", "disk I/O error", "readonly", "unable to open")


def is_outage(error: BaseException) -> bool:
    """Whether the database is to blame and not the statement: the same transaction may succeed later."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    cause = _cause(error)
    if isinstance(cause, sqlite3.Error):
        return any(word in str(cause) for word in _PASSING_SQLITE)
    state = getattr(cause, "sqlstate", "")
    if state is None:  # psycopg itself gave up: the server said nothing
        return type(cause).__name__ not in ("DataError", "ProgrammingError", "NotSupportedError")
    return str(state).startswith(_PASSING)


def is_busy(error: BaseException) -> bool:
    """Whether SQLite refused because another process holds the lock."""
    return isinstance(_cause(error), sqlite3.OperationalError) and "locked" in str(_cause(error))


def is_refusal(error: BaseException) -> bool:
    """Whether the database, asked to store something, would not."""
    return isinstance(error, DBAPIError | sqlite3.Error) or hasattr(error, "sqlstate")


def reason(error: BaseException) -> str:
    """The first line of what the driver says."""
    text = str(_cause(error)).strip()
    return text.splitlines()[0] if text else type(_cause(error)).__name__


def _cause(error: BaseException) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error
