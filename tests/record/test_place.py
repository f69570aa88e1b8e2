"""Where an SQLite database may lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sweeper.errors import StorageError
from sweeper.record.place import check_place, file_system, is_network

MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:30 / /home rw - nfs4 server:/home rw
31 30 0:31 / /home/ada/local rw - xfs /dev/sdb1 rw
32 22 0:32 / /mnt/my\\040disk rw shared:7 - fuse.sshfs ada@host: rw
33 22 0:33 / /data rw - ext4 /dev/sdc rw
34 22 0:34 / /data rw - cifs //server/data rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/var/lib", "ext4"),
        ("/home/bob", "nfs4"),
        ("/homework", "ext4"),
        ("/home/ada/local/sweeps", "xfs"),
        ("/mnt/my disk/sweeps", "fuse.sshfs"),
        ("/data", "cifs"),
    ],
)
def test_the_file_system_of_a_folder(folder: str, kind: str) -> None:
    assert file_system(Path(folder), MOUNTS) == kind


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "lustre", "fuse.sshfs", "fuse.gcsfuse", "ceph"])
def test_network_file_systems(kind: str) -> None:
    assert is_network(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuse.fuse-overlayfs", "unknown"])
def test_local_file_systems(kind: str) -> None:
    assert not is_network(kind)


def test_a_network_file_system_is_refused_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeper.record.place.file_system", lambda folder: "nfs4")
    with pytest.raises(StorageError, match=r"network file system \(nfs4\).*postgresql://"):
        check_place(tmp_path / "sweeper.db")


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"is a folder.*sweeper\.db"):
        check_place(tmp_path)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"does not exist: mkdir -p"):
        check_place(tmp_path / "no" / "sweeper.db")


def test_a_pipe_is_no_database(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match="no regular file"):
        check_place(tmp_path / "pipe")


@pytest.mark.parametrize("closed", ["sweeper.db", "."])
def test_what_cannot_be_written(tmp_path: Path, closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's answer is played: it lets root write everywhere."""
    (tmp_path / "sweeper.db").touch()
    shut = tmp_path / closed
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != shut)
    with pytest.raises(StorageError, match="cannot be written"):
        check_place(tmp_path / "sweeper.db")


def test_a_good_place(tmp_path: Path) -> None:
    check_place(tmp_path / "new.db")
    (tmp_path / "old.db").touch()
    check_place(tmp_path / "old.db")
