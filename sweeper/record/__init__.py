"""Every write: our tables, Optuna's schema in group commits, migrations."""

from __future__ import annotations

from sweeper.record.database import Database, open_database
from sweeper.record.ledger import Code, Record, Sweep
from sweeper.record.storage import Storage

__all__ = ["Code", "Database", "Record", "Storage", "Sweep", "open_database"]
