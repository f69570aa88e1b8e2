"""An asyncio loop whose clock is the story's: waiting costs nothing, and nothing happens but what was scheduled."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any


class Stuck(Exception):
    """Nothing is left that could happen, and the story is not over."""


class _NoFiles(selectors.SelectSelector):
    """Waits by setting the clock forward."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Stuck("nothing is left that could happen, and the story is not over")
        self.now += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`perform` is what becomes of work that is given to a thread."""

    def __init__(self) -> None:
        self._clock = _NoFiles()
        super().__init__(self._clock)
        self.perform: Callable[[object, asyncio.Future[Any], Callable[[], Any]], None] = lambda *_: None

    def time(self) -> float:
        return self._clock.now

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future = self.create_future()
        self.perform(executor, future, lambda: func(*args))
        return future

    def _write_to_self(self) -> None:
        pass  # nobody sleeps who would have to be woken
