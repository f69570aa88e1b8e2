from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from sweeper.errors import ProvenanceError
from sweeper.provenance import code
from sweeper.provenance.code import Wanted
from sweeper.provenance.leftover import Limits
from sweeper.provenance.parcel import packed
from sweeper.provenance.store import FolderStore
from tests.provenance.repository import Repository


def test_a_parcel_has_what_git_tracks_and_what_it_neither_has_nor_ignores_and_always_the_same_bytes(
    tmp_path: Path,
) -> None:
    repository, store = Repository(tmp_path / "app"), FolderStore(tmp_path / "store")
    repository.write(".gitignore", "*.log\n")
    repository.write("train.py", "x = 1\n")
    repository.write("data/words", "one two")
    repository.commit()
    repository.write("train.py", "x = 2\n")
    repository.write("new.py", "y = 1\n")
    repository.write("some.log", "ignored")
    repository.write(".env", "KEY=of no concern")
    document = code.take(Wanted(repository.root / "train.py"), store).document

    parcel = packed(document, store, "there")

    with zipfile.ZipFile(io.BytesIO(parcel)) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    assert found == {
        "there/": b"",
        "there/.gitignore": b"*.log\n",
        "there/data/words": b"one two",
        "there/new.py": b"y = 1\n",
        "there/train.py": b"x = 2\n",
    }
    assert packed(document, store, "there") == parcel


def test_code_that_was_too_large_to_keep_is_not_sent_and_says_so(tmp_path: Path) -> None:
    repository, store = Repository(tmp_path / "app"), FolderStore(tmp_path / "store")
    repository.write("train.py", "x = 1\n")
    repository.commit()
    wanted = Wanted(repository.root / "train.py", limits=Limits(tree_bytes=10))

    with pytest.raises(ProvenanceError, match=r"cannot be sent .* more than 10 bytes; put it where all see it"):
        packed(code.take(wanted, store).document, store, "there")
