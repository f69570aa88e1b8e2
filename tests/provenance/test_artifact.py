"""Files on their way into the store."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.errors import ArtifactError
from sweeper.provenance.artifact import CONFIG, LOG, checked_kind, checked_name, files_below, keep, kind_of, name_of
from sweeper.provenance.store import FolderStore

RUN = "a" * 32


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def content(store: FolderStore, sha256: str | None) -> str:
    assert sha256 is not None
    with store.open(sha256) as file:
        return file.read().decode()


def test_a_file_is_kept_byte_for_byte(tmp_path: Path, store: FolderStore) -> None:
    (tmp_path / "model.pt").write_bytes(b"password=hunter2")
    kept = keep(tmp_path / "model.pt", "model.pt", "model", store, RUN)

    assert (kept.name, kept.kind, kept.size, kept.error) == ("model.pt", "model", 16, None)
    assert kept.sha256 == hashlib.sha256(b"password=hunter2").hexdigest()


def test_two_names_of_the_same_bytes_are_shown_to_optuna_apart_and_stored_once(
    tmp_path: Path, store: FolderStore
) -> None:
    (tmp_path / "m").write_bytes(b"weights")
    last, best = (keep(tmp_path / "m", name, "model", store, RUN) for name in ("last.pt", "best.pt"))

    assert last.sha256 == best.sha256
    assert last.shown_as != best.shown_as
    assert len(list(store.blobs())) == 1
    links = [(store.root / "optuna" / str(kept.shown_as)).stat().st_ino for kept in (last, best)]
    assert len(set(links)) == 1, "a link costs no space"


def test_removing_what_optuna_was_shown_leaves_the_content(tmp_path: Path, store: FolderStore) -> None:
    (tmp_path / "m").write_bytes(b"weights")
    kept = keep(tmp_path / "m", "m", "model", store, RUN)
    (store.root / "optuna" / str(kept.shown_as)).unlink()

    assert content(store, kept.sha256) == "weights"


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a/../../x", "", ".", "a//b", "a/./b", "a\nb", "\x1b[2J", "x" * 513]
)
def test_a_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path, store: FolderStore) -> None:
    with pytest.raises(ArtifactError, match="is no name for an artifact"):
        checked_name(name)
    (tmp_path / "m").write_bytes(b"weights")
    kept = keep(tmp_path / "m", name, "model", store, RUN)
    assert kept.sha256 is None
    assert "is no name for an artifact" in str(kept.error)


@given(st.text())
def test_a_name_is_refused_or_stays_below_where_it_is_written(name: str) -> None:
    try:
        found = checked_name(name)
    except ArtifactError:
        return
    assert os.path.normpath(Path("/folder") / found).startswith("/folder/")


@pytest.mark.parametrize("kind", ["Model", "", "a b", "x" * 33, "../x"])
def test_a_kind_is_a_word(kind: str) -> None:
    with pytest.raises(ArtifactError, match="is no kind of artifact"):
        checked_kind(kind)


def test_kinds_are_told_from_endings() -> None:
    names = ("a/model.PT", "curve.png", "eval.csv", "train.log", "README")
    assert [kind_of(name) for name in names] == ["model", "figure", "table", "log", "file"]


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, store: FolderStore) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "is no file" in str(keep(tmp_path / "pipe", "pipe", "file", store, RUN).error)


def test_a_missing_file_is_said(tmp_path: Path, store: FolderStore) -> None:
    assert "there is no file at" in str(keep(tmp_path / "gone", "gone", "file", store, RUN).error)


def test_a_store_that_cannot_be_written_is_said_and_not_raised(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"weights")
    kept = keep(tmp_path / "m", "m", "model", FolderStore(tmp_path / "m" / "store"), RUN)
    assert (kept.sha256, kept.size) == (None, 7)
    assert "cannot be written" in str(kept.error)


def test_secrets_in_logs_and_configs_are_masked(tmp_path: Path, store: FolderStore) -> None:
    (tmp_path / "trial.log").write_text("epoch 1\nconnecting to postgresql://ada:hunter2@host/db\n")
    (tmp_path / "config.yaml").write_text("lr: 0.1\ndb:\n  password: 'correct horse battery'\n  n_tokens: 3\n")
    log = keep(tmp_path / "trial.log", "trial.log", LOG, store, RUN)
    config = keep(tmp_path / "config.yaml", "config.yaml", CONFIG, store, RUN)

    assert content(store, log.sha256) == "epoch 1\nconnecting to postgresql://ada:***@host/db\n"
    assert content(store, config.sha256) == "lr: 0.1\ndb:\n  password: '***'\n  n_tokens: 3\n"
    assert log.shown_as is None


def test_a_config_without_secrets_stays_as_it_is(tmp_path: Path, store: FolderStore) -> None:
    text = "# by hand\nlr:   1e-3\n"
    (tmp_path / "config.yaml").write_text(text)
    assert content(store, keep(tmp_path / "config.yaml", "config.yaml", CONFIG, store, RUN).sha256) == text


@pytest.mark.slow
def test_of_an_endless_log_the_end_is_kept(tmp_path: Path, store: FolderStore) -> None:
    with (tmp_path / "trial.log").open("wb") as log:
        log.truncate(100 << 20)
        log.seek(0, os.SEEK_END)
        log.write(b"\nthe end\n")
    kept = keep(tmp_path / "trial.log", "trial.log", LOG, store, RUN)

    assert kept.size < 33 << 20
    text = content(store, kept.sha256)
    assert text.startswith("[71303177 bytes before this are left out]\n")
    assert text.endswith("the end\n")


def test_a_folder_gives_its_files_and_follows_no_loop(tmp_path: Path) -> None:
    (tmp_path / "weights" / "deep").mkdir(parents=True)
    (tmp_path / "weights" / "deep" / "b.pt").write_bytes(b"")
    (tmp_path / "weights" / "a.pt").write_bytes(b"")
    (tmp_path / "weights" / "loop").symlink_to(tmp_path / "weights")
    os.mkfifo(tmp_path / "weights" / "pipe")

    assert [name for _, name in files_below(tmp_path / "weights", "w")] == ["w/a.pt", "w/deep/b.pt"]


def test_a_file_is_called_by_its_path_in_the_runs_folder_or_by_its_own_name(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert name_of(folder / "weights" / "a.pt", folder) == "weights/a.pt"
    assert name_of(Path("/elsewhere/a.pt"), folder) == "a.pt"
    assert name_of(folder / ".." / "a.pt", folder) == "a.pt"
