"""Databases that tests of reads share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.history.database import Written, digits, sqlite_url
from tests.record.conftest import PostgresServer, postgres_server

__all__ = ["postgres_server"]


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    """An empty database."""
    written = Written(sqlite_url(tmp_path))
    yield written
    written.close()


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def written_digits(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    """A database with the study digits and nothing else, on either engine; to be read only."""
    folder = tmp_path_factory.mktemp("digits")
    url = sqlite_url(folder)
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.url_of(server.create_database())
    written = Written(url)
    digits(written, folder)
    yield written
    written.close()
