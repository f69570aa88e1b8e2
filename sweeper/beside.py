"""What goes on beside something else, and must not end without a word: who waits would wait for ever."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

Beside = asyncio.Task[None]


@contextlib.asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[Beside]:
    """Have it go on meanwhile, and end then."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def as_long_as(others: tuple[Beside, ...], awaited: Coroutine[Any, Any, T]) -> T:
    """What comes of it. Raises what breaks one of the `others`, which never end by themselves."""
    task = asyncio.create_task(awaited)
    try:
        await asyncio.wait({task, *others}, return_when=asyncio.FIRST_COMPLETED)
        for other in others:
            if other.done():
                other.result()
        return task.result()
    finally:
        task.cancel()
