"""Is what is on record still in its store, byte for byte?"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sweeper.archive.files import store_for
from sweeper.errors import ArtifactError, NotFound
from sweeper.history import BlobUse
from sweeper.provenance.store import digest_of


class State(enum.StrEnum):
    """What became of a blob."""

    WHOLE = "whole"
    CHANGED = "changed"
    MISSING = "missing"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Checked:
    """One blob, hashed again, and every file on record that is made of it."""

    sha256: str
    state: State
    size: int  # bytes as found
    error: str | None
    uses: tuple[BlobUse, ...]


def verify(uses: Iterable[BlobUse], store_url: str | None) -> Iterator[Checked]:
    """Read every blob that is used and hash it again, each once whatever the number of its uses."""
    by_blob: dict[tuple[str, str | None], list[BlobUse]] = {}
    for use in uses:
        by_blob.setdefault((use.sha256, store_url or use.store), []).append(use)
    for (sha256, store), found in by_blob.items():
        yield _checked(sha256, store, tuple(found))


def _checked(sha256: str, store: str | None, uses: tuple[BlobUse, ...]) -> Checked:
    try:
        with store_for(store, None).open(sha256) as content:
            found = digest_of(content)
    except NotFound as error:
        return Checked(sha256, State.MISSING, 0, str(error), uses)
    except (ArtifactError, OSError) as error:
        return Checked(sha256, State.UNREADABLE, 0, str(error), uses)
    state = State.WHOLE if found.sha256 == sha256 else State.CHANGED
    return Checked(sha256, state, found.size, None, uses)
