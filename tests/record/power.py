"""A simulated power cut: from the log of a process's file operations, what a disk may hold when the power goes."""

from __future__ import annotations

import random
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_SECTOR = 512


@dataclass(frozen=True)
class Operation:
    """One operation on one file: W writes, T truncates, S syncs, U unlinks."""

    kind: str
    path: str
    offset: int
    data: bytes


@dataclass
class Disk:
    """Contents that survive for certain, and operations since the last sync, of which any part may."""

    files: dict[str, bytearray] = field(default_factory=dict)
    pending: defaultdict[str, list[Operation]] = field(default_factory=lambda: defaultdict(list))

    def do(self, operation: Operation) -> None:
        if operation.kind == "S":
            for one in self.pending.pop(operation.path, []):
                apply(self.files, one)
            for path in [path for path in self.pending if Path(path).parent == Path(operation.path)]:
                self._settle_unlinked(path)
        else:
            self.pending[operation.path].append(operation)

    def _settle_unlinked(self, path: str) -> None:
        """The folder was synced: a file that was unlinked before is gone for good."""
        kinds = [one.kind for one in self.pending[path]]
        if "U" in kinds:
            self.files.pop(path, None)
            last = len(kinds) - kinds[::-1].index("U")
            self.pending[path] = self.pending[path][last:]

    def after_power_cut(self) -> dict[str, bytearray]:
        """Nothing that was not synced is there."""
        return {path: bytearray(content) for path, content in self.files.items()}

    def after_torn_power_cut(self, chance: random.Random) -> dict[str, bytearray]:
        """Some of what was not synced is there, sector by sector."""
        files = self.after_power_cut()
        for operations in self.pending.values():
            for operation in operations:
                if operation.kind == "W":
                    for start in range(0, len(operation.data), _SECTOR):
                        if chance.random() < 0.5:
                            part = operation.data[start : start + _SECTOR]
                            apply(files, Operation("W", operation.path, operation.offset + start, part))
                elif chance.random() < 0.5:
                    apply(files, operation)
        return files


def apply(files: dict[str, bytearray], operation: Operation) -> None:
    if operation.kind == "U":
        files.pop(operation.path, None)
        return
    content = files.setdefault(operation.path, bytearray())
    end = operation.offset + len(operation.data)
    if operation.kind == "T":
        del content[operation.offset :]
    content.extend(bytes(max(0, end - len(content))))
    content[operation.offset : end] = operation.data


def read_log(path: Path) -> Iterator[Operation]:
    log = path.read_bytes()
    at = 0
    while at < len(log):
        kind = chr(log[at])
        offset, path_size, size = (int.from_bytes(log[at + 1 + 8 * n : at + 9 + 8 * n], "little") for n in range(3))
        at += 25
        name = log[at : at + path_size].decode()
        at += path_size
        yield Operation(kind, name, offset, log[at : at + size])
        at += size


def build(folder: Path) -> Path:
    """The library to preload."""
    library = folder / "io_log.so"
    source = Path(__file__).with_name("io_log.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl", "-pthread"], check=True)
    return library
