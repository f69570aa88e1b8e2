"""Writes the code of a snapshot into a fresh folder, from the artifact store alone where the commit's tree was kept."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweeper.errors import NotFound, ProvenanceError
from sweeper.provenance import git
from sweeper.provenance.code import Snapshot
from sweeper.provenance.drift import FileState, module_states
from sweeper.provenance.store import Store


def rebuild(document: Mapping[str, Any], store: Store, folder: Path) -> None:
    """Write the code that `document` describes into `folder`, which must be new or empty.

    Raises ProvenanceError where a part of it is neither in the store nor to be had from the repository's remote.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ProvenanceError(f"{folder} is not empty; give the rebuilt code a new folder with --folder")
    try:
        _write(document, store, folder)
    except NotFound as error:
        raise ProvenanceError(f"the code cannot be rebuilt: {error}") from error


def snapshot_of(code: str, document: Mapping[str, Any], folder: Path) -> Snapshot:
    """What a process that runs the rebuilt code compares its imports with."""
    paths = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    modules: dict[str, FileState] = module_states(folder, {}, paths)
    gaps = [f"{left['path']} was left out: {left['why']}" for left in document["left_out"]]
    return Snapshot(code, str(folder), modules, tuple(gaps))


def _write(document: Mapping[str, Any], store: Store, folder: Path) -> None:
    if document["kind"] == "git":
        _write_commit(document, store, folder)
    if document.get("diff"):
        _apply(_content(store, document["diff"]), folder)
    for file in document["files"]:
        place = _inside(folder, file["path"])
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(_content(store, file))
        place.chmod(file["mode"])
    for path, sub in document["submodules"].items():
        place = _inside(folder, path)
        place.mkdir(parents=True, exist_ok=True)
        _write(sub, store, place)


def _write_commit(document: Mapping[str, Any], store: Store, folder: Path) -> None:
    if document["tree"] is not None:
        with tarfile.open(fileobj=io.BytesIO(_content(store, document["tree"]))) as tar:
            tar.extractall(folder, filter="data")
        return
    remote, commit = document["remote"], document["commit"]
    if remote is None:
        raise ProvenanceError(f"the code cannot be rebuilt: commit {commit} was too large to keep and has no remote")
    git.run(folder, "clone", "--quiet", "--no-checkout", remote, ".", limit_s=600.0)
    git.run(folder, "checkout", "--quiet", commit, limit_s=600.0)


def _apply(diff: bytes, folder: Path) -> None:
    """Apply a diff in a folder that may lie inside another repository, which is not to be heeded."""
    command = ["git", "-C", str(folder), "apply", "--binary", "--whitespace=nowarn", "-"]
    environment = {"GIT_CEILING_DIRECTORIES": str(folder.parent), "GIT_DIR": "/dev/null"}
    done = subprocess.run(command, input=diff, capture_output=True, check=False, env=git.environment() | environment)
    if done.returncode:
        raise ProvenanceError(f"the code cannot be rebuilt: {done.stderr.decode('utf-8', 'replace').strip()}")


def _content(store: Store, blob: Mapping[str, Any]) -> bytes:
    with store.open(blob["sha256"]) as file:
        return file.read()


def _inside(folder: Path, path: str) -> Path:
    """A path below `folder`; a record may come from anywhere, and must not write elsewhere."""
    place = (folder / path).resolve()
    if not place.is_relative_to(folder.resolve()):
        raise ProvenanceError(f"the code cannot be rebuilt: {path!r} lies outside its folder")
    return place
