"""What nodes are told of the driver's folders, some of which they may not see; and the code for those."""

from __future__ import annotations

from pathlib import Path

from sweeper.launch.landmark import planted
from sweeper.launch.parcel import Parcel
from sweeper.launch.travel import PACKED, Travel
from sweeper.preparation import Prepared
from sweeper.provenance.parcel import packed
from sweeper.provenance.store import has_scheme


def itinerary(prepared: Prepared) -> tuple[Travel, Parcel]:
    """For a launch on a cluster."""
    code, store = prepared.code, prepared.store
    runs = planted(prepared.folder)
    root = planted(Path(code.snapshot.root or prepared.folder), near=[runs])
    travel = Travel(
        code=root,
        runs=runs,
        store=None if has_scheme(store.url) else planted(Path(store.url), near=[runs]),
        artifacts=store.url,
        sweep=prepared.uuid,
        scratch=prepared.settings.ray.scratch,
    )
    return travel, Parcel(str(code.snapshot.code), lambda: packed(code.document, store, PACKED))
