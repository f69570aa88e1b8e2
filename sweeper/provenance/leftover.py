"""Which files that no commit has belong to the code: those within limits that are no outputs, data bases or keys."""

from __future__ import annotations

import fnmatch
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sweeper.provenance.package import LOCKS

_CODE = frozenset(
    {".py", ".pyi", ".pyx", ".pxd", ".so", ".c", ".cc", ".cpp", ".h", ".hpp", ".cu", ".cuh", ".sh", ".toml", ".cfg"}
    | {".ini", ".yaml", ".yml", ".json", ".txt", ".md", ".lock", ".jinja", ".sql", ".ipynb"}
)
NO_CODE = frozenset({"__pycache__", "node_modules", "site-packages"})
_KEYS = (".env", ".env.*", "*.pem", "*.key", "id_rsa*", "id_ed25519*", ".netrc", ".pypirc", "credentials*", "*.p12")
_OUTPUT_MARKS = (".hydra", "multirun.yaml", ".sweeper")  # what Hydra and sweeper leave in the folders of runs
_SQLITE = b"SQLite format 3\0"
_DEPTH = 6


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept; what is larger is named and left out."""

    file_bytes: int = 10 << 20  # of one file that no commit has
    total_bytes: int = 100 << 20  # of all of them
    files: int = 2_000
    tree_bytes: int = 100 << 20  # of the commit's own files together


@dataclass
class Selection:
    """Chooses among paths below a root, and keeps account of what it leaves out."""

    root: Path
    entry: Path  # the script: what lies around it is code, wherever it lies
    outputs: Sequence[Path]
    limits: Limits
    left_out: list[dict[str, str]] = field(default_factory=list)
    masked: list[str] = field(default_factory=list)  # what a secret was masked in
    _is_output: dict[Path, bool] = field(default_factory=dict)

    def leave_out(self, path: str, why: str) -> None:
        self.left_out.append({"path": path, "why": why})

    def files(self, paths: Iterable[str]) -> list[str]:
        """Those of `paths`, relative to the root, that are to be kept, sorted."""
        kept: list[str] = []
        total = 0
        for path in sorted(paths):
            place = self.root / path
            if self._is_written_by_sweeps(place) or not place.is_file() or place.is_symlink():
                continue
            size = place.stat().st_size
            why = self._objection(place, size, total, len(kept))
            if why is None:
                kept.append(path)
                total += size
            elif why:
                self.leave_out(path, why)
        return kept

    def _objection(self, place: Path, size: int, total: int, count: int) -> str | None:
        """Why a file is not kept; None where it is."""
        if any(fnmatch.fnmatch(place.name, pattern) for pattern in _KEYS):
            return "by its name it holds secrets"
        if size > self.limits.file_bytes:
            return f"it has {size:,} bytes, more than {self.limits.file_bytes:,}"
        if total + size > self.limits.total_bytes:
            return f"with it the files that no commit has have more than {self.limits.total_bytes:,} bytes"
        if count >= self.limits.files:
            return f"there are more than {self.limits.files:,} files that no commit has"
        try:
            with place.open("rb") as file:
                return "it is an SQLite database" if file.read(len(_SQLITE)) == _SQLITE else None
        except OSError as error:
            return f"it cannot be read ({error.strerror})"

    def _is_written_by_sweeps(self, place: Path) -> bool:
        return any(place == output or output in place.parents for output in self.outputs) or self._in_outputs(
            place.parent
        )

    def _in_outputs(self, folder: Path) -> bool:
        """Whether a folder, or one around it below the root, is what a run, a sweep or a reproduction wrote."""
        if folder == self.root or self.root not in folder.parents or folder in self.entry.parents:
            return False
        found = self._is_output.get(folder)
        if found is None:
            marked = any((folder / mark).exists() for mark in _OUTPUT_MARKS)
            found = self._is_output[folder] = marked or folder.name == ".sweeper" or self._in_outputs(folder.parent)
        return found


def loose_files(entry: Path, beside: Sequence[Path], outputs: Sequence[Path]) -> Iterator[str]:
    """The code of a script outside any repository: what lies with it, what it has imported from there, its config."""
    folder = entry.parent
    found = {entry, *_imported_from(folder)}
    if folder not in {Path("/"), Path.home(), Path(tempfile.gettempdir())}:
        found |= set(_walk(folder, outputs, 0))
    for further in beside:
        if folder in further.parents:
            found |= set(_walk(further, outputs, 0))
    found |= {folder / name for name in LOCKS if (folder / name).is_file()}
    return (path.relative_to(folder).as_posix() for path in found)


def _imported_from(folder: Path) -> Iterator[Path]:
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and Path(file).is_relative_to(folder) and not NO_CODE & set(Path(file).parts):
            yield Path(file)


def _walk(folder: Path, outputs: Sequence[Path], depth: int) -> Iterator[Path]:
    if depth > _DEPTH or folder in outputs:
        return
    for entry in os.scandir(folder):
        place = Path(entry.path)
        if entry.is_file(follow_symlinks=False) and place.suffix in _CODE:
            yield place
        elif entry.is_dir(follow_symlinks=False) and _may_hold_code(place):
            yield from _walk(place, outputs, depth + 1)


def _may_hold_code(folder: Path) -> bool:
    return not (folder.name.startswith(".") or folder.name in NO_CODE or (folder / "pyvenv.cfg").exists())
