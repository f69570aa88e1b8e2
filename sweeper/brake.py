"""How a sweep is asked to end early."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Brake:
    """Is pulled in two steps, from any thread: to drain, and to stop."""

    def __init__(self) -> None:
        self.is_draining = False
        self.is_stopping = False
        self.signal: int | None = None  # the last that pulled it; None where the sweep's own budget did
        self._pulled: Callable[[], None] = lambda: None

    def drain(self, signal: int | None = None) -> None:
        """Start no further trial; let the running ones end."""
        self.is_draining = True
        self.signal = signal or self.signal
        self._pulled()

    def stop(self, signal: int | None = None) -> None:
        """Stop the running trials too."""
        self.is_draining = self.is_stopping = True
        self.signal = signal or self.signal
        self._pulled()

    async def watch(self, drained: Callable[[], None]) -> None:
        """Return when the brake says stop; call `drained` when it first says drain."""
        loop = asyncio.get_running_loop()
        pulled = asyncio.Event()

        def pull() -> None:
            loop.call_soon_threadsafe(pulled.set)

        self._pulled = pull
        while not self.is_draining:
            await pulled.wait()
        drained()
        while not self.is_stopping:
            pulled.clear()
            await pulled.wait()
