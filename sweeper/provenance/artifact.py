"""Files on their way into the store: what each is called within its run, of what kind it is, what must not be in it."""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import yaml

from sweeper.errors import ArtifactError
from sweeper.provenance.secret import is_secret, masked, masked_shapes, masked_text, may_name_a_secret
from sweeper.provenance.store import Store

LOG, CONFIG = "log", "config"  # what the engine keeps of every run; secrets in it are masked

_KINDS = {
    "model": (".pt", ".pth", ".ckpt", ".safetensors", ".onnx", ".pkl", ".joblib", ".h5", ".keras", ".npz", ".bin"),
    "figure": (".png", ".jpg", ".jpeg", ".svg", ".pdf", ".gif", ".webp"),
    "table": (".csv", ".tsv", ".parquet", ".jsonl", ".arrow"),
    LOG: (".log",),
}
_KIND = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_YAML_KEY = re.compile(r"(?<![\w.+-])([\w.+-]+)[\"']?\s*:")
_NAME_LENGTH = 512
_LONGEST_LOG = 32 << 20  # bytes kept of a log: its end, where it says how things went


@dataclass(frozen=True, slots=True)
class Kept:
    """One file and where its content went."""

    name: str
    kind: str
    size: int
    sha256: str | None
    error: str | None = None
    shown_as: str | None = None


def keep(path: Path, name: str, kind: str, store: Store, run: str) -> Kept:
    """Put one file into the store. What goes wrong is said in the result, never raised into training code."""
    size = 0
    try:
        checked_name(name)
        with _opened(path, kind) as content:
            size = content.seek(0, os.SEEK_END)
            if kind in (LOG, CONFIG):  # as durable as the files themselves, which nobody syncs either
                blob = store.put_soon(content)
                return Kept(name, kind, blob.size, blob.sha256)
            blob = store.put(content)
        alias = f"{blob.sha256}-{hashlib.sha256(f'{run}/{name}'.encode()).hexdigest()[:8]}"
        store.link(blob.sha256, alias)
        return Kept(name, kind, blob.size, blob.sha256, shown_as=alias)
    except FileNotFoundError:
        return Kept(name[:_NAME_LENGTH], kind, size, None, f"there is no file at {masked_text(str(path))}")
    except Exception as error:
        return Kept(name[:_NAME_LENGTH], kind, size, None, masked_text(" ".join(str(error).split())))


def checked_name(name: str) -> str:
    """A name within a run, which is a relative path that leads nowhere else. Raises ArtifactError for any other."""
    parts = name.split("/")
    if not 0 < len(name) <= _NAME_LENGTH or not name.isprintable() or {"", ".", ".."} & set(parts):
        raise ArtifactError(
            f"{name!r:.100} is no name for an artifact: give a relative path without .. such as weights/last.pt"
        )
    return name


def checked_kind(kind: str) -> str:
    """A kind of artifact. Raises ArtifactError for what is none."""
    if _KIND.fullmatch(kind) is None:
        raise ArtifactError(
            f"{kind!r:.100} is no kind of artifact: give a word in small letters, such as {', '.join(_KINDS)}"
        )
    return kind


def kind_of(name: str) -> str:
    """The kind that a file's ending speaks for; `file` where it says nothing."""
    ending = PurePosixPath(name).suffix.lower()
    return next((kind for kind, endings in _KINDS.items() if ending in endings), "file")


def name_of(path: Path, folder: Path) -> str:
    """What a file or folder is called within its run: its path inside the run's folder, else its own name."""
    found = path.absolute()
    try:
        inside = found.relative_to(folder.absolute()).as_posix()
    except ValueError:
        return found.name
    return found.name if ".." in inside or inside == "." else inside


def files_below(path: Path, name: str) -> Iterator[tuple[Path, str]]:
    """The file itself, or every file of a folder with its name; links to folders are not followed."""
    if not path.is_dir():
        yield path, name
        return
    for folder, folders, files in os.walk(path):
        folders.sort()
        for file in sorted(files):
            found = Path(folder) / file
            if found.is_file():  # a pipe or a socket would be waited for
                yield found, f"{name}/{found.relative_to(path).as_posix()}"


def _opened(path: Path, kind: str) -> BinaryIO:
    """A regular file's content as it is to be stored. A pipe is refused, not waited for."""
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ArtifactError(f"{path} is no file: give a file or a folder")
    if kind not in (LOG, CONFIG):
        return file
    with file:
        return io.BytesIO(_without_secrets(file, kind))


def _without_secrets(file: BinaryIO, kind: str) -> bytes:
    size = os.fstat(file.fileno()).st_size
    left_out = max(0, size - _LONGEST_LOG)
    file.seek(left_out)
    text = file.read().decode("utf-8", "backslashreplace")
    if left_out:
        return f"[{left_out} bytes before this are left out]\n{masked_text(text)}".encode()
    if kind == CONFIG and not may_name_a_secret(text):
        return masked_shapes(text).encode()
    if kind == CONFIG and any(map(is_secret, _YAML_KEY.findall(text))):  # to parse it takes 3 ms
        try:
            plain = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except yaml.YAMLError:
            return masked_text(text).encode()
        hidden = masked(plain)
        if hidden != plain:
            text = str(yaml.safe_dump(hidden, sort_keys=False, allow_unicode=True))
        return text.encode()
    return masked_text(text).encode()
