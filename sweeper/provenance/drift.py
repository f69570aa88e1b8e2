"""Whether the files that a process has imported are those of the code snapshot."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from sweeper.provenance.git import blob_hash

_MODULES = (".py", ".so", ".pyd")
_INSTALLED = ("site-packages", "dist-packages")


@dataclass(frozen=True, slots=True)
class FileState:
    """A file when the snapshot was taken."""

    size: int
    mtime_ns: int
    blob: str  # git's hash of its content


def module_states(root: Path, tracked: Mapping[str, tuple[str, str]], changed: Collection[str]) -> dict[str, FileState]:
    """Every file below `root` that can be imported: hashes are git's own, but for files that differ from the commit."""
    found = {}
    for path in {*tracked, *changed}:
        place = root / path
        if not path.endswith(_MODULES) or not place.is_file():
            continue
        stat = place.stat()
        like = tracked[path][1] if path in tracked else ""
        blob = blob_hash(place.read_bytes(), like) if path in changed else like
        found[path] = FileState(stat.st_size, stat.st_mtime_ns, blob)
    return found


class ImportCheck:
    """Looks at each imported module once: by size and time, and by content only where these differ."""

    def __init__(self, root: str | None, modules: Mapping[str, FileState]) -> None:
        self._root = root
        self._modules = modules
        self._seen: set[str] = set()
        self.found: tuple[str, ...] = ()  # `path: what is the matter`

    def look(self) -> tuple[str, ...]:
        """All drift so far, after a look at what has been imported since the last one."""
        if self._root is not None:
            new = self._new()
            self._seen |= new
            prefix = self._root.rstrip("/") + "/"
            drift = [said for name in sorted(new) if (said := self._judge(sys.modules.get(name), prefix))]
            self.found = tuple(dict.fromkeys([*self.found, *drift]))
        return self.found

    def _new(self) -> set[str]:
        """The names of modules imported since the last look: the last of all, but for some that were taken out."""
        latest = set(itertools.takewhile(lambda name: name not in self._seen, reversed(sys.modules)))
        if len(sys.modules) == len(self._seen) + len(latest):
            return latest  # a look at each of the thousands costs a forked process a page for every few of them
        return sys.modules.keys() - self._seen

    def _judge(self, module: object, prefix: str) -> str | None:
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.startswith(prefix) or any(part in file for part in _INSTALLED):
            return None
        path = file.removeprefix(prefix)
        state = self._modules.get(path)
        if state is None:
            return f"{path}: is not in the code snapshot"
        try:
            stat = Path(file).stat()
            if (stat.st_size, stat.st_mtime_ns) == (state.size, state.mtime_ns):
                return None
            is_same = blob_hash(Path(file).read_bytes(), state.blob) == state.blob
        except OSError as error:
            return f"{path}: cannot be read any more ({error.strerror})"
        return None if is_same else f"{path}: has changed since the code snapshot"
