"""A run's files, found and written."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pytest

from sweeper.archive import files
from sweeper.errors import ArtifactError, NotFound
from sweeper.history import ArtifactRow, TrialName
from tests.archive.conftest import Shelf


def rows(shelf: Shelf, *names: str) -> list[ArtifactRow]:
    run = files.run_of(shelf.history, TrialName("digits", 0))
    return files.matching(shelf.history.artifacts(run.run), names, "digits/0")


@pytest.fixture
def filled(shelf: Shelf) -> Shelf:
    for name in ("model.pt", "weights/a.pt", "weights/b.bin"):
        shelf.keep(0, name, name.encode())
    return shelf


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ((), ["model.pt", "weights/a.pt", "weights/b.bin"]),
        (("model.pt",), ["model.pt"]),
        (("weights",), ["weights/a.pt", "weights/b.bin"]),
        (("weights/",), ["weights/a.pt", "weights/b.bin"]),
        (("*.pt",), ["model.pt", "weights/a.pt"]),
        (("model.pt", "*.pt"), ["model.pt", "weights/a.pt"]),
    ],
)
def test_files_are_named_by_name_folder_or_pattern(filled: Shelf, names: tuple[str, ...], found: list[str]) -> None:
    assert [row.name for row in rows(filled, *names)] == found


def test_what_is_not_there_is_said_with_what_is(filled: Shelf) -> None:
    with pytest.raises(NotFound, match=r"digits/0 keeps no 'modle.pt': it keeps model.pt, weights/a.pt, weights/b.bin"):
        rows(filled, "modle.pt")


def test_files_are_written_under_their_names(filled: Shelf, tmp_path: Path) -> None:
    written = files.write(rows(filled), tmp_path / "out", None)
    assert written == [tmp_path / "out" / name for name in ("model.pt", "weights/a.pt", "weights/b.bin")]
    assert [path.read_bytes() for path in written] == [b"model.pt", b"weights/a.pt", b"weights/b.bin"]
    assert files.write(rows(filled), tmp_path / "out", None) == written, "what is there already is left"


def test_a_file_with_other_content_is_not_overwritten(filled: Shelf, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.pt").write_text("mine")
    with pytest.raises(ArtifactError, match="is there already with other content"):
        files.write(rows(filled, "model.pt"), tmp_path / "out", None)
    assert (tmp_path / "out" / "model.pt").read_text() == "mine"


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd"])
def test_a_record_cannot_lead_out_of_the_folder(filled: Shelf, tmp_path: Path, name: str) -> None:
    (row,) = rows(filled, "model.pt")
    with pytest.raises(ArtifactError, match="is no name for an artifact"):
        files.write([dataclasses.replace(row, name=name)], tmp_path / "out", None)


def test_nor_can_a_link_in_it(filled: Shelf, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "out" / "weights").symlink_to(tmp_path / "outside")
    with pytest.raises(ArtifactError, match="leads out of"):
        files.write(rows(filled, "weights/a.pt"), tmp_path / "out", None)
    assert list((tmp_path / "outside").iterdir()) == []


def test_damaged_content_is_not_handed_out(filled: Shelf, tmp_path: Path) -> None:
    (row,) = rows(filled, "model.pt")
    place = filled.store.root / "sha256" / str(row.sha256)[:2] / str(row.sha256)
    place.chmod(0o644)
    place.write_bytes(b"modle.pt")
    with pytest.raises(ArtifactError, match="is damaged"):
        files.write([row], tmp_path / "out", None)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_store_that_has_moved_is_named(filled: Shelf, tmp_path: Path) -> None:
    filled.store.root.rename(tmp_path / "moved")
    with pytest.raises(NotFound, match="has no"):
        files.write(rows(filled, "model.pt"), tmp_path / "out", None)
    assert files.write(rows(filled, "model.pt"), tmp_path / "out", str(tmp_path / "moved"))


def test_a_store_whose_password_is_not_on_record_has_to_be_named(filled: Shelf, tmp_path: Path) -> None:
    (row,) = rows(filled, "model.pt")
    hidden = dataclasses.replace(row, store="sftp://ada:***@host/artifacts")
    with pytest.raises(ArtifactError, match="--artifacts URL"):
        files.write([hidden], tmp_path, None)


def test_what_could_not_be_kept_says_why(filled: Shelf, tmp_path: Path) -> None:
    (row,) = rows(filled, "model.pt")
    with pytest.raises(NotFound, match="could not be kept when it was saved: no space"):
        files.write([dataclasses.replace(row, sha256=None, error="no space left")], tmp_path, None)


def test_one_file_can_be_printed(filled: Shelf) -> None:
    stream = io.BytesIO()
    files.print_to(rows(filled, "model.pt")[0], stream, None)
    assert stream.getvalue() == b"model.pt"


def test_an_attempt_that_is_not_there(shelf: Shelf) -> None:
    with pytest.raises(NotFound, match="digits/0 has no attempt 3: its attempts are 0 to 0"):
        files.run_of(shelf.history, TrialName("digits", 0), 3)
