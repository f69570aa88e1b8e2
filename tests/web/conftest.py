"""The site over databases that its tests share; they only read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from sweeper.sight import Sight
from sweeper.web.site import create_site
from sweeper.web.source import NOWHERE, Source
from tests.history.database import Written, digits, sqlite_url

TOKEN = "the token of these tests"
PORT = 8585
HOME = "http://127.0.0.1:8585"


def card(uuid: str, **given: object) -> dict[str, object]:
    """A card as `sweeper gpus --json` has it; an idle one."""
    found: dict[str, object] = {"node": "gpu-1", "index": 0, "uuid": uuid, "name": "NVIDIA H100 80GB HBM3"}
    found |= {"memory_total": 80 << 30, "memory_used": 1 << 30, "utilization": 0.0, "power_w": 70.0}
    return found | {"temperature_c": 35.0, "trials": [], "others": []} | given


def sweep(study: str, **given: object) -> dict[str, object]:
    """A sweep as `sweeper queue --json` has it."""
    found: dict[str, object] = {"sweep": "0" * 32, "study": study, "user": "ada", "host": "node-a", "resource": "GPU"}
    found |= {"weight": 1.0, "priority": 0, "least": 0.0, "most": None, "share": 8.0, "held": 7.5}
    return found | {"running": 15, "waiting": 3, "used_s": 5400.0} | given


Visit = Callable[[str], TestClient]


def visitor(url: str, *, token: str | None = TOKEN, artifacts: str | None = None, seen: Sight = NOWHERE) -> TestClient:
    """A program that asks the site over a database, by default with its token."""
    site = create_site(Source.of(url, artifacts, lambda: seen), TOKEN, port=PORT, fresh_s=0)
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
