"""Brings what a run keeps from a node that does not reach the sweep's store, in pieces, through its actor."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, cast

from sweeper.errors import ArtifactError
from sweeper.provenance.store import Blob, open_store
from sweeper.trial import Event, Saved, Used

_IN_MEMORY = 32 << 20  # bytes of a file that need no temporary one here


@dataclass(frozen=True, slots=True)
class Courier:
    """Between the actor's store and the driver's."""

    actor: Any
    store: str  # the driver's URL
    patience_s: float  # with each piece

    async def bring(self, events: Sequence[Event]) -> tuple[Event, ...]:
        """The same events, once the files that they speak of are in the store; what cannot be brought says why."""
        return tuple([await self._with_its_file(event) for event in events])

    async def _with_its_file(self, event: Event) -> Event:
        if not isinstance(event, Saved | Used) or event.sha256 is None:
            return event
        if isinstance(event, Used) and not event.manifest:
            return event
        from ray.exceptions import RayError

        try:
            await self._fetch(event.sha256, event.shown_as if isinstance(event, Saved) else None)
        except ArtifactError as error:
            return _without_its_file(event, str(error))
        except (RayError, TimeoutError):
            return _without_its_file(event, "its node was lost before the file was brought to the store")
        return event

    async def _fetch(self, sha256: str, alias: str | None) -> None:
        """Raises ArtifactError, and Ray's errors or TimeoutError where the node is gone."""
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as content:
            while piece := await self._piece(sha256, content.tell()):
                content.write(piece)
            blob = await asyncio.to_thread(self._keep, cast("BinaryIO", content), alias)
        if blob.sha256 != sha256:
            raise ArtifactError(f"it came from its node as {blob.sha256} instead of {sha256}")
        self.actor.file_taken.remote(sha256)

    async def _piece(self, sha256: str, offset: int) -> bytes:
        async with asyncio.timeout(self.patience_s):
            piece: bytes = await self.actor.piece.remote(sha256, offset)
        return piece

    def _keep(self, content: BinaryIO, alias: str | None) -> Blob:
        store = open_store(self.store)
        blob = store.put(content)
        if alias is not None:
            store.link(blob.sha256, alias)
        return blob


def _without_its_file(event: Saved | Used, why: str) -> Event:
    if isinstance(event, Used):
        return replace(event, error=why)
    return replace(event, sha256=None, shown_as=None, error=why)
