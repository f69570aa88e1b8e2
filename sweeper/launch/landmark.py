"""Whether a node sees a folder of the driver's: by a file with a random token, which the driver has put there.

A path says nothing: another machine may have another folder of that name, or an older copy of this one.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_FOLDER = ".sweeper"


@dataclass(frozen=True, slots=True)
class Landmark:
    """A token that stands for a folder; without a file, where the driver cannot write, no node is known to see it."""

    folder: str
    file: str | None
    token: str

    @property
    def is_seen(self) -> bool:
        try:
            return self.file is not None and Path(self.file).read_text() == self.token
        except (OSError, UnicodeDecodeError):
            return False


def planted(folder: Path, near: Iterable[Landmark] = ()) -> Landmark:
    """A landmark for `folder`: one of those that lie within it already, on the same file system, else a new one."""
    real = folder.resolve()
    for other in near:
        if other.file is not None and _is_part_of(Path(other.file).resolve(), real):
            return Landmark(str(folder), other.file, other.token)
    token = secrets.token_hex(16)
    file = real / _FOLDER / f"landmark-{token[:8]}"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not (real / _FOLDER / ".gitignore").exists():
            (real / _FOLDER / ".gitignore").write_text("*\n")  # no part of anybody's code
        file.write_text(token)
    except OSError:
        return Landmark(str(folder), None, token)
    return Landmark(str(folder), str(file), token)


def _is_part_of(file: Path, folder: Path) -> bool:
    try:
        return file.is_relative_to(folder) and file.stat().st_dev == folder.stat().st_dev
    except OSError:
        return False
