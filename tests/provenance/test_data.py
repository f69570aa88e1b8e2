"""Digests of data."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import fsspec
import pytest

from sweeper.errors import NotFound
from sweeper.provenance import data
from sweeper.provenance.data import digest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "sweeper" / "data"


def old(path: Path, content: bytes) -> Path:
    """A file that was written long enough ago for its times to be believed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Believe the times of files that are new."""
    monkeypatch.setattr(data, "_SETTLED_S", -1.0)


def test_a_file_is_its_sha256(tmp_path: Path) -> None:
    found = digest(str(old(tmp_path / "train.csv", b"a,b\n")))
    assert (found.sha256, found.files, found.size) == (hashlib.sha256(b"a,b\n").hexdigest(), 1, 4)
    assert found.manifest is None


def test_a_folder_is_the_sha256_of_its_manifest(tmp_path: Path) -> None:
    old(tmp_path / "set" / "b" / "2.png", b"22")
    old(tmp_path / "set" / "1.png", b"1")
    found = digest(str(tmp_path / "set"))

    assert found.manifest is not None
    assert found.sha256 == hashlib.sha256(found.manifest).hexdigest()
    assert [json.loads(line) for line in found.manifest.splitlines()] == [
        {"name": "1.png", "size": 1, "sha256": hashlib.sha256(b"1").hexdigest()},
        {"name": "b/2.png", "size": 2, "sha256": hashlib.sha256(b"22").hexdigest()},
    ]


def test_where_a_folder_lies_does_not_matter_and_what_is_in_it_does(tmp_path: Path) -> None:
    for place in ("here", "there"):
        old(tmp_path / place / "1.png", b"1")
    same = digest(str(tmp_path / "here")).sha256
    assert digest(str(tmp_path / "there")).sha256 == same
    (tmp_path / "there" / "1.png").rename(tmp_path / "there" / "2.png")
    assert digest(str(tmp_path / "there")).sha256 != same


@pytest.mark.usefixtures("settled")
def test_a_file_that_has_not_changed_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("1", "2"):
        old(tmp_path / "set" / name, name.encode())
    first = digest(str(tmp_path / "set"))
    read: list[str] = []
    hashed = data._hashed
    monkeypatch.setattr(data, "_hashed", lambda fs, path: read.append(Path(path).name) or hashed(fs, path))

    assert digest(str(tmp_path / "set")) == first
    assert read == []
    old(tmp_path / "set" / "2", b"other")
    assert digest(str(tmp_path / "set")).sha256 != first.sha256
    assert read == ["2"]


def test_a_file_that_has_just_changed_is_read_again(tmp_path: Path) -> None:
    file = old(tmp_path / "train.csv", b"1")
    first = digest(str(file))
    moment = file.stat().st_mtime_ns
    file.write_bytes(b"2")
    os.utime(file, ns=(moment, moment))

    assert digest(str(file)).sha256 != first.sha256


@pytest.mark.usefixtures("settled")
def test_a_change_that_hides_its_time_is_seen(tmp_path: Path) -> None:
    file = old(tmp_path / "train.csv", b"1")
    first = digest(str(file))
    moment = file.stat().st_mtime_ns
    time.sleep(0.02)  # longer than a tick of the file system's clock
    file.write_bytes(b"2")
    os.utime(file, ns=(moment, moment))

    assert digest(str(file)).sha256 != first.sha256


@pytest.mark.usefixtures("settled")
def test_a_broken_cache_costs_time_and_nothing_else(tmp_path: Path, cache: Path) -> None:
    file = old(tmp_path / "train.csv", b"1")
    first = digest(str(file))
    (known,) = cache.iterdir()
    known.write_text('{"": {"si')
    assert digest(str(file)) == first


def test_data_on_another_file_system() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/data-set/a.csv", b"1")
    memory.pipe_file("/data-set/b/c.csv", b"22")
    found = digest("memory://data-set")

    assert (found.files, found.size) == (2, 3)
    assert found.manifest is not None
    assert [json.loads(line)["name"] for line in found.manifest.splitlines()] == ["a.csv", "b/c.csv"]


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"there is no file at .*/nowhere"):
        digest(str(tmp_path / "nowhere"))
