"""What git says of a folder. The command line is asked, as it alone knows all of git's settings and formats."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeper.errors import ProvenanceError
from sweeper.provenance.secret import without_credentials

_LIMIT_S = 20.0
_SUBMODULE_MODE = "160000"


@dataclass(frozen=True, slots=True)
class Status:
    """One repository at one moment."""

    commit: str | None  # in full; None before the first commit
    branch: str | None  # None where HEAD is detached
    changed: tuple[str, ...]  # tracked paths that differ from the commit, relative to the root
    untracked: tuple[str, ...]  # those that git does not ignore


def run(folder: Path, *arguments: str, limit_s: float = _LIMIT_S, answers: Sequence[int] = (0,)) -> bytes:
    """What `git -C folder …` prints where its exit status is one of `answers`.

    Raises ProvenanceError where it fails, is missing or takes too long.
    """
    command = ["git", "-C", str(folder), "-c", "core.quotepath=off", "-c", "core.fsmonitor=false", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=limit_s, check=False, env=environment(), stdin=subprocess.DEVNULL
        )
    except FileNotFoundError as error:
        raise ProvenanceError("git is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise ProvenanceError(f"git {arguments[0]} gave no answer within {limit_s:g} s") from error
    if done.returncode not in answers:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ProvenanceError(f"git {arguments[0]}: {words[-1] if words else f'status {done.returncode}'}")
    return done.stdout


def environment() -> dict[str, str]:
    """Git neither writes to the repository, nor asks for a password, nor speaks another language."""
    return os.environ | {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def root_of(folder: Path) -> Path | None:
    """The top of the repository that `folder` lies in; None outside any. Looks for .git before git is started."""
    if not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        return None
    return Path(os.fsdecode(run(folder, "rev-parse", "--show-toplevel").rstrip(b"\n")))


def status(root: Path) -> Status:
    """Commit, branch, changed and untracked paths, in one call."""
    text = run(
        root, "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all", "--no-renames",
        "--ignore-submodules=all",
    )  # fmt: skip
    head: dict[str, str] = {}
    changed, untracked = [], []
    for line in os.fsdecode(text).split("\0"):
        kind, _, rest = line.partition(" ")
        if kind == "#":
            name, _, value = rest.partition(" ")
            head[name] = value
        elif kind == "?":
            untracked.append(rest)
        elif kind in {"1", "u"}:
            changed.append(rest.split(" ", 7 if kind == "1" else 9)[-1])
    commit, branch = head.get("branch.oid", ""), head.get("branch.head", "")
    return Status(
        commit=None if commit in {"", "(initial)"} else commit,
        branch=None if branch in {"", "(detached)"} else branch,
        changed=tuple(changed),
        untracked=tuple(untracked),
    )


def remote(root: Path) -> str | None:
    """The URL of `origin`, else of the first remote, its credentials removed."""
    try:
        text = run(root, "config", "--get-regexp", r"^remote\..*\.url$").decode("utf-8", "replace")
    except ProvenanceError:  # git's way to say that there is none
        return None
    urls = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
    found = urls.get("remote.origin.url") or next(iter(urls.values()), None)
    return None if found is None else without_credentials(found)


def diff(root: Path) -> bytes:
    """Every change of tracked files, staged or not, against the commit; binary files whole."""
    return run(
        root, "diff", "HEAD", "--binary", "--full-index", "--no-ext-diff", "--no-textconv", "--no-color",
        "--no-renames", "--ignore-submodules=all", "--src-prefix=a/", "--dst-prefix=b/",
    )  # fmt: skip


def between(folder: Path, old: str, new: str) -> bytes:
    """What differs between two folders below `folder`, as a unified diff; nothing where they are the same."""
    return run(
        folder, "diff", "--no-index", "--no-ext-diff", "--no-textconv", "--no-color", "--no-prefix", "--", old, new,
        answers=(0, 1),
    )  # fmt: skip


def archive(root: Path, limit_bytes: int) -> bytes | None:
    """The commit's whole tree as a tar, the same bytes for the same commit; None where that is more than the limit."""
    command = ["git", "-C", str(root), "archive", "--format=tar", "HEAD"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as git:
        content = git.stdout.read(limit_bytes + 1) if git.stdout is not None else b""
        if len(content) > limit_bytes:
            git.kill()
            return None
    if git.returncode:
        raise ProvenanceError(f"git archive: status {git.returncode}")
    return content


def entries(root: Path) -> Mapping[str, tuple[str, str]]:
    """Every tracked path -> its mode and its blob's hash in the index."""
    found = {}
    for line in os.fsdecode(run(root, "ls-files", "--stage", "-z")).split("\0"):
        head, tab, path = line.partition("\t")
        if tab:
            mode, blob, _ = head.split(" ")
            found[path] = (mode, blob)
    return found


def submodules(tracked: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Of `entries`, the paths of submodules -> the commit that the repository wants of each."""
    return {path: blob for path, (mode, blob) in tracked.items() if mode == _SUBMODULE_MODE}


def blob_hash(content: bytes, like: str = "") -> str:
    """The name that git gives to a file of this content, in the kind of hash that `like` is: SHA-1, or SHA-256."""
    hashed = hashlib.sha256() if len(like) == 64 else hashlib.sha1(usedforsecurity=False)
    hashed.update(b"blob %d\0" % len(content))
    hashed.update(content)
    return hashed.hexdigest()


def state(folder: Path) -> dict[str, object] | str:
    """A repository in short, for code beside the project: commit, branch, remote, and the hash of its changes."""
    root = root_of(folder)
    if root is None:
        return "in no repository"
    now = status(root)
    found: dict[str, object] = {"commit": now.commit, "branch": now.branch, "remote": remote(root)}
    if now.changed and now.commit is not None:
        found["changes"] = hashlib.sha256(diff(root)).hexdigest()
    if now.untracked:
        found["untracked"] = len(now.untracked)
    return found
