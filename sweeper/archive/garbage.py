"""Blobs that nothing on record points to.

What a sweep has put and not yet recorded looks the same, so nothing is garbage that was put within the grace, or since
the oldest sweep began that has not ended. A store notes which databases write to it: while one of them is not looked
at, nothing in the store can be called garbage.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sweeper.errors import ArtifactError
from sweeper.history import History
from sweeper.provenance.store import Store, StoredBlob

SHORTEST_GRACE_S = 3600.0  # a trial's process may hold a blob for some time before its driver hears of it


@dataclass(frozen=True, slots=True)
class Garbage:
    """What may be removed from one store, and what it would leave."""

    store: Store
    blobs: tuple[StoredBlob, ...]
    young: tuple[StoredBlob, ...]  # unknown to the record, but too young to be called garbage
    kept: int  # blobs that something on record points to
    used_before: float

    @property
    def size(self) -> int:
        return sum(blob.size for blob in self.blobs)


def find(store: Store, histories: Sequence[History], grace_s: float) -> Garbage:
    """The store's garbage, judged by every database that writes to it. Raises ArtifactError where one is missing."""
    looked_at = {history.where for history in histories}
    for mark, database in store.databases().items():
        if database not in looked_at:
            raise ArtifactError(
                f"{store.url} is used by {database} too: name that database with --also URL, or remove {mark} if it "
                "is gone"
            )
    stored = list(store.blobs())  # before the record is read: what is recorded meanwhile is then seen there
    on_record = set().union(*(history.blobs() for history in histories))
    began = [found for history in histories if (found := history.earliest_open_sweep()) is not None]
    used_before = min([time.time() - max(grace_s, SHORTEST_GRACE_S), *(moment - 60.0 for moment in began)])
    unknown = [blob for blob in stored if blob.sha256 not in on_record]
    return Garbage(
        store=store,
        blobs=tuple(blob for blob in unknown if blob.used_at < used_before),
        young=tuple(blob for blob in unknown if blob.used_at >= used_before),
        kept=len(stored) - len(unknown),
        used_before=used_before,
    )


def remove(garbage: Garbage) -> tuple[StoredBlob, ...]:
    """Remove garbage; gives what is gone. A blob that was put again meanwhile stays."""
    return tuple(blob for blob in garbage.blobs if garbage.store.discard(blob.sha256, garbage.used_before))
