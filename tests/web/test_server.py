"""Where the server listens, what it prints, and that it is light and read-only."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from sweeper.errors import ConfigError
from sweeper.history import History
from sweeper.web.server import bound, token
from sweeper.web.source import dashboard_command
from tests.history.database import Written


def test_a_port_that_is_taken_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1 port {port} cannot be listened on"):
            bound("127.0.0.1", port)
        monkeypatch.setattr("sweeper.web.server.PORT", port)
        with closing(bound("127.0.0.1", None)) as other:
            assert other.getsockname()[1] != port


def test_an_address_that_is_not_ours_is_said() -> None:
    with pytest.raises(ConfigError, match="cannot be listened on"):
        bound("no-such-host.invalid", 0)


def test_each_start_has_a_token_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWEEPER_UI_TOKEN", raising=False)
    assert token() != token() and len(token()) >= 32
    monkeypatch.setenv("SWEEPER_UI_TOKEN", "a token of the user's own")
    assert token() == "a token of the user's own"
    monkeypatch.setenv("SWEEPER_UI_TOKEN", "short")
    with pytest.raises(ConfigError, match="at least 20"):
        token()


def test_how_to_open_the_same_in_optuna_dashboard(written: Written) -> None:
    written.our_tables()
    written.sweep("s", artifacts="s3://bucket/store")
    written.sweep("s", artifacts="/data/my store")
    history = History(written.url)
    assert dashboard_command(history, None) == f"optuna-dashboard {written.url} --artifact-dir '/data/my store/optuna'"


@contextmanager
def serving(url: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """The command, with the link that it printed and what it printed before."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests may run where it is ignored
    process = subprocess.Popen(
        [sys.executable, "-m", "sweeper.cli", "ui", "--port", "0", *arguments],
        env={**os.environ, "SWEEPER_STORAGE": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    signal.signal(signal.SIGINT, before)
    assert process.stdout
    try:
        said = ""
        while "token=" not in said:
            line = process.stdout.readline()
            assert line, process.communicate()
            said += line
        yield process, re.findall(r"http://\S+", said)[0], said
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_the_command_prints_a_link_that_opens_and_ends_when_told(digits_url: str) -> None:
    with serving(digits_url) as (process, link, _):
        assert link.startswith("http://127.0.0.1:")
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with opener.open(link, timeout=20) as answer:
            assert b"digits" in answer.read() and "token" not in answer.url
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(link.partition("?")[0], timeout=20)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130


@pytest.mark.slow
def test_other_machines_are_let_in_with_a_warning_alone(digits_url: str) -> None:
    with serving(digits_url, "--host", "0.0.0.0") as (process, link, _):
        assert link.startswith("http://127.0.0.1:")
        process.terminate()
        assert "not encrypted" in process.communicate(timeout=20)[1]


@pytest.mark.slow
def test_the_site_loads_nothing_that_launches_or_writes() -> None:
    heavy = ("ray", "torch", "hydra", "sweeper.launch", "sweeper.sweep", "sweeper.run", "sweeper.record.storage")
    code = f"import sys, sweeper.web.server; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_database_that_is_not_there_is_said_before_anything_listens(tmp_path: Path) -> None:
    from sweeper.errors import StorageError
    from sweeper.web.source import Source

    with pytest.raises(StorageError, match="does not exist"):
        Source.of(f"sqlite:///{tmp_path}/none.db")
