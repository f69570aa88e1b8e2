from __future__ import annotations

import json
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sweeper.cli.option import Form
from sweeper.cli.queue import _show
from sweeper.share.claim import Standing
from tests.cli.conftest import Sweeper

ROW = Standing("s" * 32, "digits", "ann", "host", 2.0, 0, 0.0, 6.0, "GPU", 1.0, 5.333, 5.0, 5, 12, 7200.0, 0.0)


def test_where_no_cluster_is_up_the_list_is_empty(tmp_path: Path) -> None:
    """In a process of its own: before a cluster is joined, Ray's variables are set for good."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "sweeper.cli", "queue", "--json", "--address", address]
    done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, check=True)
    assert json.loads(done.stdout) == []


def test_without_an_address_it_says_what_to_type(sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert sweeper("queue").out == "No cluster is named: give --address HOST:PORT, or set RAY_ADDRESS.\n"
    assert sweeper("queue", "--json").json == []


def test_shares_use_and_waiting_are_in_every_form(capsys: pytest.CaptureFixture[str]) -> None:
    other = replace(ROW, study="mlp", user="bob", weight=1.0, most=None, share=2.667, held=3.0, waiting=0)

    _show([ROW, other], Form.TEXT, "")
    shown = capsys.readouterr().out.splitlines()
    assert " ".join(shown[0].split()) == ("study user host priority weight limits fair share has running waiting used")
    assert " ".join(shown[1].split()) == "digits ann host 0 2 ≤ 6 5.33 GPU 5 GPU 5 12 2.00 GPU h"
    assert shown[-1] == "2 sweeps with 8 GPU; 12 trials wait for room"

    _show([ROW], Form.JSON, "")
    (record,) = json.loads(capsys.readouterr().out)
    assert (record["study"], record["share"], record["held"], record["waiting"]) == ("digits", 5.333, 5.0, 12)
