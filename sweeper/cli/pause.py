"""`sweeper pause`: a sweep starts no new trial until `sweeper resume`."""

from __future__ import annotations

from sweeper.cli.option import DEFAULT_STORAGE, Json, Storage, Study
from sweeper.cli.order import order


def pause(study: Study, storage: Storage = DEFAULT_STORAGE, json: Json = False) -> None:
    """Let a sweep start no new trial until `sweeper resume`; its driver and its slots stay."""
    order(storage, study, "pause", {}, json)
