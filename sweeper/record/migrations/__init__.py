"""Our schema's versions, and the way from one to the next; Optuna's own tables are never touched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from sweeper.errors import StorageError

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0001"
VERSION_TABLE = "sweeper_alembic_version"


def upgrade(connection: Connection, name: str) -> None:
    """Bring our tables to `HEAD` in the transaction that `connection` is in.

    Raises StorageError where the database (called `name`) was written by a newer sweeper.
    """
    from alembic import command
    from alembic.util import CommandError

    config = _config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, HEAD)
    except CommandError as error:
        found = revision_in(connection)
        raise StorageError(
            f"{name} has sweeper's schema in version {found}, and this sweeper knows versions up to {HEAD}: "
            "pip install --upgrade sweeper"
        ) from error


def revision_in(connection: Connection) -> str | None:
    """The version of our schema in a database that has its version table."""
    found = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()
    return None if found is None else str(found)


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    # Written to alembic's interpolating parser, which reads % as the start of a name.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
