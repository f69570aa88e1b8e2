"""Reads what runs were made of: environments and states of the code, each by its hash."""

from __future__ import annotations

import json

from sqlalchemy import Connection, RowMapping, select

from sweeper.errors import NotFound
from sweeper.history.lookup import has_our_tables
from sweeper.history.rows import CodeRow, EnvironmentRow
from sweeper.record.tables import code as code_table
from sweeper.record.tables import environments


def environment(connection: Connection, environment: str, where: str) -> EnvironmentRow:
    """The environment of this hash.

    Raises:
        NotFound: there is none.
    """
    query = select(*(environments.c[name] for name in EnvironmentRow.__slots__))
    found = connection.execute(query.where(environments.c.environment == environment)).mappings().first()
    if found is None:
        raise NotFound(f"the environment {environment[:12]} is not on record in {where}")
    return EnvironmentRow(**dict(found) | {"document": json.loads(found["document"])})


def code(connection: Connection, code: str, where: str) -> CodeRow:
    """The state of the code of this hash.

    Raises:
        NotFound: there is none.
    """
    query = select(*(code_table.c[name] for name in CodeRow.__slots__)).where(code_table.c.code == code)
    found = connection.execute(query).mappings().first()
    if found is None:
        raise NotFound(f"the code {code[:12]} is not on record in {where}")
    return _code_row(found)


def codes(connection: Connection) -> list[CodeRow]:
    """Every state of the code, oldest first."""
    if not has_our_tables(connection):
        return []
    query = select(*(code_table.c[name] for name in CodeRow.__slots__)).order_by(code_table.c.taken_at)
    return [_code_row(found) for found in connection.execute(query).mappings()]


def _code_row(found: RowMapping) -> CodeRow:
    return CodeRow(**dict(found) | {"document": json.loads(found["document"])})
