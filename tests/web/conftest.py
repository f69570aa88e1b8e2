"""The site over databases that its tests share; they only read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from sweeper.web.site import create_site
from sweeper.web.source import Source
from tests.history.database import Written, digits, sqlite_url

TOKEN = "the token of these tests"
PORT = 8585
HOME = "http://127.0.0.1:8585"

Visit = Callable[[str], TestClient]


def visitor(url: str, *, token: str | None = TOKEN, artifacts: str | None = None) -> TestClient:
    """A program that asks the site over a database, by default with its token."""
    site = create_site(Source.of(url, artifacts), TOKEN, port=PORT, fresh_s=0)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return TestClient(site, base_url=HOME, headers=headers, follow_redirects=False)


@pytest.fixture(scope="session")
def digits_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The study digits: ten trials of every fate."""
    folder = tmp_path_factory.mktemp("site")
    written = Written(sqlite_url(folder))
    digits(written, folder)
    written.close()
    return written.url


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    """An empty database."""
    written = Written(sqlite_url(tmp_path))
    yield written
    written.close()


@pytest.fixture(scope="session")
def site(digits_url: str) -> TestClient:
    """A program with the token, at the study digits."""
    return visitor(digits_url)
