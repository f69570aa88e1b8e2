"""Imported files that are not the snapshot's."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeper.provenance.code import Snapshot, Wanted, take
from sweeper.provenance.drift import ImportCheck
from sweeper.provenance.store import FolderStore
from tests.provenance.repository import Repository


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    repository = Repository(tmp_path / "code")
    for name in ("train", "early", "late"):
        repository.write(f"drift_{name}.py", f"name = {name!r}\n")
    repository.write(".gitignore", "drift_ignored.py\n__pycache__\n")
    repository.commit()
    monkeypatch.syspath_prepend(str(repository.root))
    yield repository
    for name in [name for name in sys.modules if name.startswith("drift_")]:
        del sys.modules[name]


def snapshot(repository: Repository, tmp_path: Path) -> Snapshot:
    return take(Wanted(repository.root / "drift_train.py"), FolderStore(tmp_path / "artifacts")).snapshot


def test_only_what_is_imported_after_a_change_has_drifted(repository: Repository, tmp_path: Path) -> None:
    taken = snapshot(repository, tmp_path)
    check = ImportCheck(taken.root, taken.modules)
    importlib.import_module("drift_early")
    assert check.look() == ()
    repository.write("drift_early.py", "name = 'other'\n")
    repository.write("drift_late.py", "name = 'other'\n")
    importlib.import_module("drift_late")
    assert check.look() == ("drift_late.py: has changed since the code snapshot",)
    assert check.look() == check.found


def test_a_module_that_takes_the_place_of_another_is_looked_at(repository: Repository, tmp_path: Path) -> None:
    taken = snapshot(repository, tmp_path)
    importlib.import_module("drift_early")
    check = ImportCheck(taken.root, taken.modules)
    check.look()
    repository.write("drift_late.py", "name = 'other'\n")
    del sys.modules["drift_early"]
    importlib.import_module("drift_late")
    importlib.import_module("drift_early")
    assert check.look() == ("drift_late.py: has changed since the code snapshot",)


def test_a_touched_file_with_the_same_content_is_the_snapshots(repository: Repository, tmp_path: Path) -> None:
    repository.write("drift_early.py", "name = 'dirty'\n")
    taken = snapshot(repository, tmp_path)
    for name in ("early", "late"):
        os.utime(repository.root / f"drift_{name}.py", (1, 1))
        importlib.import_module(f"drift_{name}")
    assert ImportCheck(taken.root, taken.modules).look() == ()


def test_code_that_no_snapshot_has(repository: Repository, tmp_path: Path) -> None:
    repository.write("drift_ignored.py", "")
    taken = snapshot(repository, tmp_path)
    importlib.import_module("drift_ignored")
    assert ImportCheck(taken.root, taken.modules).look() == ("drift_ignored.py: is not in the code snapshot",)
