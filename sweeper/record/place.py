"""Where an SQLite database may lie: a local, writable file, and never on a network file system.

Write-ahead logging keeps its index in shared memory, which two hosts do not share
(https://sqlite.org/wal.html).
"""

from __future__ import annotations

import os
from pathlib import Path

from sweeper.errors import StorageError

_MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs", "glusterfs"}
    | {"ocfs2", "gfs2", "pvfs2", "orangefs", "davfs"}
)
_LOCAL_FUSE = frozenset({"fuse.fuse-overlayfs", "fuse.lxcfs"})


def check_place(path: Path) -> None:
    """Raise StorageError unless an SQLite database can live at `path`, which need not exist yet."""
    folder = path.parent
    if path.is_dir():
        raise StorageError(f"{path} is a folder, and an SQLite database is a file: give sqlite:///{path}/sweeper.db")
    if not folder.is_dir():
        raise StorageError(f"the folder {folder} of the database does not exist: mkdir -p {folder}")
    if path.exists() and not path.is_file():
        raise StorageError(f"{path} is no regular file, and an SQLite database has to be one: give another path")
    kind = file_system(folder.resolve())
    if is_network(kind):
        raise StorageError(
            f"{path} lies on a network file system ({kind}), where SQLite loses data when two hosts write: "
            "give a path on a local disk, or a postgresql:// URL"
        )
    for place in (path, folder):
        if place.exists() and not os.access(place, os.W_OK):
            raise StorageError(
                f"{place} cannot be written, and a sweep records into it: chmod u+w it, or give another path"
            )


def is_network(kind: str) -> bool:
    """Whether a file system of this kind, as the kernel names it, is shared between hosts."""
    return kind in _NETWORK or (kind.startswith("fuse.") and kind not in _LOCAL_FUSE)


def file_system(folder: Path, mounts: str | None = None) -> str:
    """The kernel's name ("ext4", "nfs4", …) of the file system that holds `folder`, an absolute resolved
    path.

    `mounts` is the text of /proc/self/mountinfo (proc(5)); "unknown" where there is no such file.
    """
    if mounts is None:
        try:
            mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return "unknown"
    found, depth = "unknown", -1
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(_unescaped(before.split(" ")[4]))
        # A later mount hides an earlier one at the same point.
        if (folder == point or point in folder.parents) and len(point.parts) >= depth:
            found, depth = after.split(" ", 1)[0], len(point.parts)
    return found


def _unescaped(text: str) -> str:
    """Undo the octal escapes (\\040 for a space) of mountinfo."""
    for escape, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(escape, char)
    return text
