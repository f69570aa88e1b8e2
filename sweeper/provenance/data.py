"""What data a run reads: a digest of a file, or of a folder by its manifest, from any file system that fsspec knows.

A manifest is one line of JSON for each file, sorted by name: `{"name": …, "size": …, "sha256": …}`; its own sha256 is
the folder's digest. Hashing reads everything once, 1.5 GB/s where the disk can; after that a file whose size and times
have not changed is not read again. What is known lies in a file for each place below ~/.cache/sweeper/data.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeper.errors import NotFound
from sweeper.provenance.store import digest_of, has_scheme

_SETTLED_S = 2.0  # a file changed more recently may change again without its time showing it


@dataclass(frozen=True, slots=True)
class Digest:
    """The content of a file or of a folder; `manifest` is None for a file."""

    sha256: str
    files: int
    size: int
    manifest: bytes | None


@dataclass(frozen=True, slots=True)
class _Found:
    name: str  # below the place, empty for the place itself
    path: str
    size: int
    stamp: str  # equal stamps, equal content


def digest(place: str) -> Digest:
    """Hash what lies at a path or URL, or remember it. Raises NotFound where nothing is there, OSError."""
    fs, found = _remote(place) if has_scheme(place) else (None, list(_local(Path(place).expanduser().absolute())))
    if not found:
        raise NotFound(f"there is no file at {place}")
    cache = _cache_file(place)
    known = _read(cache)
    began = time.time_ns()
    lines: dict[str, dict[str, Any]] = {}
    for file in found:
        old = known.get(file.name)
        if old is not None and old["stamp"] == file.stamp:
            lines[file.name] = old
        else:
            lines[file.name] = {"size": file.size, "sha256": _hashed(fs, file.path), "stamp": file.stamp}
    if lines != known:
        _write(cache, {name: line for name, line in lines.items() if _is_settled(line["stamp"], began)})
    size = sum(int(line["size"]) for line in lines.values())
    if list(lines) == [""]:
        return Digest(lines[""]["sha256"], 1, size, None)
    rows = ({"name": name, "size": lines[name]["size"], "sha256": lines[name]["sha256"]} for name in sorted(lines))
    manifest = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return Digest(hashlib.sha256(manifest).hexdigest(), len(lines), size, manifest)


def _local(path: Path) -> Iterator[_Found]:
    if path.is_file():
        yield _found(path, "")
    for folder, folders, files in os.walk(path):
        folders.sort()
        for name in files:
            file = Path(folder) / name
            if file.is_file():
                yield _found(file, file.relative_to(path).as_posix())


def _found(path: Path, name: str) -> _Found:
    seen = path.stat()
    return _Found(name, str(path), seen.st_size, f"{seen.st_size}-{seen.st_mtime_ns}-{seen.st_ctime_ns}")


def _remote(url: str) -> tuple[Any, list[_Found]]:
    import fsspec

    fs, root = fsspec.core.url_to_fs(url)
    below: dict[str, Any] = fs.find(root, detail=True)
    return fs, [
        _Found(path[len(root) :].strip("/"), path, int(info["size"] or 0), _remote_stamp(info))
        for path, info in below.items()
    ]


def _remote_stamp(info: dict[str, Any]) -> str:
    """Size and whatever the server says of the content; where it says nothing, the file is read every time."""
    told = [
        str(info[key]) for key in ("ETag", "etag", "md5Hash", "LastModified", "mtime", "last_modified") if key in info
    ]
    return f"{info['size']}-{'-'.join(told) if told else uuid.uuid4().hex}"


def _hashed(fs: Any, path: str) -> str:
    with Path(path).open("rb") if fs is None else fs.open(path, "rb") as content:
        return digest_of(content).sha256


def _is_settled(stamp: str, now_ns: int) -> bool:
    times = stamp.split("-")[1:]
    return not all(text.isdigit() for text in times) or max(map(int, times)) < now_ns - _SETTLED_S * 1e9


def _cache_file(place: str) -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sweeper" / "data"
    full = place if has_scheme(place) else str(Path(place).expanduser().absolute())
    return folder / f"{hashlib.sha256(full.encode()).hexdigest()}.json"


def _read(cache: Path) -> dict[str, dict[str, Any]]:
    """What was known last; nothing where the file is missing or torn."""
    try:
        known: dict[str, dict[str, Any]] = json.loads(cache.read_bytes())
    except (OSError, ValueError):
        return {}
    return known


def _write(cache: Path, known: dict[str, dict[str, Any]]) -> None:
    """Remember for the next time; a cache that cannot be written costs time and nothing else."""
    beside = cache.with_suffix(f".{uuid.uuid4().hex}")
    with suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside.write_text(json.dumps(known))
        beside.rename(cache)
