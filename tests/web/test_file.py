"""Files come as downloads, whatever they are called, and from nowhere but the store; a log is followed."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from optuna.trial import create_trial
from sqlalchemy import insert, select
from starlette.testclient import TestClient

from sweeper.provenance.store import FolderStore
from sweeper.record import tables
from tests.history.database import STARTED, Written
from tests.web.conftest import visitor

PAGE = b"<html><script>alert(1)</script>"


@pytest.fixture
def kept(written: Written, tmp_path: Path) -> TestClient:
    """A trial that keeps a page, a file with a wicked name and one that could not be kept."""
    store = FolderStore(tmp_path / "store")
    blob = store.put(io.BytesIO(PAGE))
    study = written.study("s")
    written.our_tables()
    sweep = written.sweep("s", artifacts=store.url)
    study.add_trial(create_trial(value=1.0))
    run = written.run("s", 0, sweep=sweep, folder=str(tmp_path / "run"), state="RUNNING")
    with written.engine.begin() as connection:
        run_id = connection.execute(select(tables.runs.c.id).where(tables.runs.c.run == run)).scalar_one()
        for seq, name in enumerate(("out/page.html", "../../etc/passwd", 'a"\r\nX: 1')):
            row = {"run_id": run_id, "name": name, "kind": "file", "size": len(PAGE), "sha256": blob.sha256}
            connection.execute(insert(tables.artifacts), row | {"time": STARTED, "seq": seq})
        lost = {"run_id": run_id, "name": "lost", "kind": "file", "size": 0, "error": "disk full"}
        connection.execute(insert(tables.artifacts), lost | {"time": STARTED, "seq": 9})
    return visitor(written.url)


@pytest.mark.parametrize("name", ["out/page.html", "../../etc/passwd", 'a"\r\nX: 1'])
def test_a_file_is_an_attachment_whatever_it_is_called(kept: TestClient, name: str) -> None:
    answer = kept.get("/file", params={"trial": "s/0", "name": name})
    assert answer.content == PAGE and answer.headers["content-type"] == "application/octet-stream"
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment; filename*=UTF-8''")
    assert "/" not in disposition.partition("''")[2] and '"' not in disposition
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["/etc/passwd", "../../../etc/passwd", "etc/passwd", "trial.log", "..", "%2e%2e"])
def test_what_the_run_does_not_keep_is_not_there(kept: TestClient, name: str) -> None:
    assert kept.get("/file", params={"trial": "s/0", "name": name}).status_code == 404


def test_what_could_not_be_kept_says_why(kept: TestClient) -> None:
    answer = kept.get("/file", params={"trial": "s/0", "name": "lost"})
    assert answer.status_code == 404 and "disk full" in answer.text


def test_a_store_that_moved_is_named(kept: TestClient, written: Written, tmp_path: Path) -> None:
    (tmp_path / "store").rename(tmp_path / "moved")
    asked = {"trial": "s/0", "name": "out/page.html"}
    assert kept.get("/file", params=asked).status_code == 404
    moved = visitor(written.url, artifacts=str(tmp_path / "moved"))
    assert moved.get("/file", params=asked).content == PAGE


def test_a_log_is_followed_as_it_grows(kept: TestClient, tmp_path: Path) -> None:
    log = tmp_path / "run" / "trial.log"
    assert kept.get("/api/log?trial=s/0").json() is None
    log.parent.mkdir()
    log.write_bytes(b"epoch 0\n" + "é".encode()[:1])
    found = kept.get("/api/log?trial=s/0").json()
    assert found == {"text": "epoch 0\n", "end": 8, "state": "RUNNING"}
    log.write_bytes("epoch 0\né\n".encode())
    assert kept.get("/api/log?trial=s/0&after=8").json() == {"text": "é\n", "end": 11, "state": "RUNNING"}
    assert kept.get("/api/log?trial=s/0&after=11").json()["text"] == ""
    log.write_bytes(b"anew\n")
    assert kept.get("/api/log?trial=s/0&after=11").json()["text"] == "anew\n"


def test_a_log_that_leads_elsewhere_is_not_read(kept: TestClient, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "trial.log").symlink_to("/etc/passwd")
    assert kept.get("/api/log?trial=s/0").json() is None
    assert "root:" not in kept.get("/trial?trial=s/0").text


def test_the_page_of_the_trial_leads_to_its_files(kept: TestClient) -> None:
    page = kept.get("/trial?trial=s/0").text
    assert "/file?trial=s%2F0&amp;attempt=0&amp;name=out%2Fpage.html" in page and "not kept" in page
