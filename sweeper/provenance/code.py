"""The code of a sweep at one moment, kept whole: what a repository's commit does not have is kept beside it.

    commit ── tree   the commit's files, as a tar       ┐
           ── diff   what tracked files differ by       ├ blobs of the artifact store
           ── files  what git neither has nor ignores   ┘
           ── submodules, each the same again

Code outside any repository is all `files`. The document that says so is named by its content, so a thousand runs of
one state of the code share it.
"""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweeper.errors import ProvenanceError
from sweeper.provenance import git, secret
from sweeper.provenance.drift import FileState, module_states
from sweeper.provenance.environment import canonical
from sweeper.provenance.leftover import NO_CODE, Limits, Selection, loose_files
from sweeper.provenance.store import Store

_DESCRIBES = ("branch", "remote")  # of a repository, without being a state of the code


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a process that runs the code needs of its snapshot, to see whether it imports the very same files."""

    code: str | None = None  # sha256 of the document; None where no snapshot was taken
    root: str | None = None  # where the code lies: the repository's top, or the script's folder
    modules: Mapping[str, FileState] = field(default_factory=dict)  # by path relative to the root
    gaps: tuple[str, ...] = ("no snapshot was taken",)


NO_SNAPSHOT = Snapshot()


@dataclass(frozen=True, slots=True)
class Code:
    """A snapshot as it goes on record."""

    document: Mapping[str, Any]
    snapshot: Snapshot

    @property
    def is_whole(self) -> bool:
        """Whether the code can be rebuilt from what was kept."""
        return not self.snapshot.gaps

    @property
    def is_dirty(self) -> bool:
        return is_dirty(self.document)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to take a snapshot of."""

    entry: Path  # the script
    outputs: Sequence[Path] = ()  # files and folders that sweeps write: no code
    beside: Sequence[Path] = ()  # folders of configuration that belong to a script outside any repository
    limits: Limits = field(default_factory=Limits)


def take(wanted: Wanted, store: Store) -> Code:
    """Take a snapshot into `store`. What could not be had is a gap of it; only the store's own failure is raised."""
    entry = wanted.entry.resolve()
    problem = ""
    try:
        root = git.root_of(entry.parent)
        if root is not None and git.status(root).commit is not None:
            return _named(_repository(root, wanted, store), root, entry)
    except ProvenanceError as error:
        problem = str(error)
    return _named(_folder(entry, wanted, store, problem), entry.parent, entry)


def is_dirty(document: Mapping[str, Any]) -> bool:
    """Whether a repository, or a submodule of it, had more or other code than its commit."""
    return bool(
        document.get("diff")
        or document.get("files")
        or any(sub["commit"] != sub.get("pinned") or is_dirty(sub) for sub in document["submodules"].values())
    )


def blobs(document: Mapping[str, Any]) -> set[str]:
    """The sha256 of everything in the artifact store that a snapshot needs."""
    found = {part["sha256"] for part in (document.get("tree"), document.get("diff"), *document["files"]) if part}
    return found.union(*(blobs(sub) for sub in document["submodules"].values()))


def _named(parts: _Parts, root: Path, entry: Path) -> Code:
    document = {
        **parts.document,
        "entry": entry.relative_to(root).as_posix(),
        "module": _module(),
        "paths": _paths(root),
    }
    content = {name: value for name, value in document.items() if name not in _DESCRIBES}
    code = hashlib.sha256(canonical(content)).hexdigest()
    return Code(document, Snapshot(code, str(root), parts.modules, tuple(_gaps(document))))


@dataclass(frozen=True, slots=True)
class _Parts:
    document: dict[str, Any]
    modules: dict[str, FileState]


def _repository(root: Path, wanted: Wanted, store: Store) -> _Parts:
    now, tracked = git.status(root), git.entries(root)
    selection = Selection(root, wanted.entry.resolve(), wanted.outputs, wanted.limits)
    kept = selection.files(now.untracked)
    tree = git.archive(root, wanted.limits.tree_bytes)
    if tree is None:
        selection.leave_out(".", f"the commit's files have more than {wanted.limits.tree_bytes:,} bytes")
    document: dict[str, Any] = {
        "kind": "git",
        "commit": now.commit,
        "branch": now.branch,
        "remote": git.remote(root),
        "tree": None if tree is None else _put(store, tree, ".", selection),
        "diff": _put(store, git.diff(root), "the diff", selection) if now.changed else None,
        "files": [_file(store, root, path, selection) for path in kept],
        "submodules": {},
    }
    modules = module_states(root, tracked, {*now.changed, *kept})
    for path, pinned in git.submodules(tracked).items():
        if (root / path / ".git").exists():
            parts = _repository(root / path, wanted, store)
            document["submodules"][path] = {**parts.document, "pinned": pinned}
            modules |= {f"{path}/{name}": state for name, state in parts.modules.items()}
    return _Parts({**document, "left_out": selection.left_out, "masked": selection.masked}, modules)


def _folder(entry: Path, wanted: Wanted, store: Store, problem: str) -> _Parts:
    """The script's own folder, where there is no commit to build on."""
    selection = Selection(entry.parent, entry, wanted.outputs, wanted.limits)
    kept = selection.files(loose_files(entry, wanted.beside, wanted.outputs))
    if problem:
        selection.leave_out(".", f"its repository cannot be read ({problem})")
    document: dict[str, Any] = {
        "kind": "folder",
        "commit": None,
        "branch": None,
        "remote": None,
        "tree": None,
        "diff": None,
        "files": [_file(store, entry.parent, path, selection) for path in kept],
        "submodules": {},
    }
    modules = module_states(entry.parent, {}, set(kept))
    return _Parts({**document, "left_out": selection.left_out, "masked": selection.masked}, modules)


def _file(store: Store, root: Path, path: str, selection: Selection) -> dict[str, object]:
    place = root / path
    is_program = place.stat().st_mode & 0o100 != 0
    return {"path": path, "mode": 0o755 if is_program else 0o644, **_put(store, place.read_bytes(), path, selection)}


def _put(store: Store, content: bytes, name: str, selection: Selection) -> dict[str, object]:
    """Keep content; known secrets in it are replaced by as many asterisks, which leaves tars and diffs whole."""
    clean = secret.masked_bytes(content)
    if clean != content:
        selection.masked.append(name)
    blob = store.put(io.BytesIO(clean))
    return {"sha256": blob.sha256, "size": blob.size}


def _module() -> str | None:
    """The name that `python -m` was given; None where a file was started."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return None if spec is None else str(spec.name).removesuffix(".__main__")


def _paths(root: Path) -> list[str]:
    """Where, below the root, this process looks for modules, relative to the root and in its order."""
    ours = Path(__file__).resolve().parents[2]  # sweeper itself is no part of what it keeps, though it may lie there
    found = [Path(entry).resolve() for entry in sys.path if entry]
    kept = [path for path in found if path.is_relative_to(root) and path != ours and not NO_CODE & set(path.parts)]
    return list(dict.fromkeys(path.relative_to(root).as_posix() for path in kept))


def _gaps(document: Mapping[str, Any]) -> list[str]:
    found = [f"{left['path']} was left out: {left['why']}" for left in document["left_out"]]
    found += [f"a secret in {name} is masked" for name in document["masked"]]
    for path, sub in document["submodules"].items():
        found += [f"{path}: {gap}" for gap in _gaps(sub)]
    return found
