"""Databases that tests of reads share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.history.database import Written, digits, sqlite_url


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    """An empty database."""
    written = Written(sqlite_url(tmp_path))
    yield written
    written.close()


@pytest.fixture(scope="session")
def digits_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with the study digits and nothing else; to be read only."""
    folder = tmp_path_factory.mktemp("digits")
    written = Written(sqlite_url(folder))
    digits(written, folder)
    yield written.url
    written.close()
