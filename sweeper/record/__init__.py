"""Every write: our tables, Optuna's schema in group commits, migrations.

Each name is loaded when it is first used: who reads needs our tables, and none of Optuna and alembic, which take 0.5 s.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeper.record.database import Database, open_database
    from sweeper.record.label import note, tag, untag
    from sweeper.record.ledger import Code, Record, Sweep
    from sweeper.record.storage import Storage

__all__ = ["Code", "Database", "Record", "Storage", "Sweep", "note", "open_database", "tag", "untag"]

_MODULES = {
    "Database": "database",
    "open_database": "database",
    "Code": "ledger",
    "Record": "ledger",
    "Sweep": "ledger",
    "Storage": "storage",
    **dict.fromkeys(("note", "tag", "untag"), "label"),
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'sweeper.record' has no attribute {name!r}")
    value = getattr(import_module(f"sweeper.record.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
