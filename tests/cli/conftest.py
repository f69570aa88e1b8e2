"""The command line as a user calls it, inside the process of the tests."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sweeper.cli import main
from tests.history.database import Written, digits, sqlite_url


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out, parse_constant=_refused)


def _refused(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")


Sweeper = Callable[..., Result]


@pytest.fixture
def sweeper(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Sweeper:
    """Run `sweeper ARGUMENTS` in an empty folder; with `columns` on a terminal of that width."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEPER_STORAGE", raising=False)

    def run(*arguments: str, columns: int | None = None) -> Result:
        monkeypatch.setattr(sys, "argv", ["sweeper", *arguments])
        if columns is not None:
            monkeypatch.setenv("FORCE_COLOR", "1")
            monkeypatch.setenv("COLUMNS", str(columns))
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        found = capsys.readouterr()
        return Result(int(caught.value.code or 0), found.out, found.err)

    return run


@pytest.fixture(scope="session")
def digits_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The study digits; to be read only."""
    folder = tmp_path_factory.mktemp("digits")
    written = Written(sqlite_url(folder))
    digits(written, folder)
    written.close()
    yield written.url


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    """An empty database, where the command line looks by default."""
    written = Written(sqlite_url(tmp_path))
    yield written
    written.close()
