"""A driver's membership in the queue of its cluster: it reports, and hears what its sweep may hold.

No driver waits for the queue: where it does not answer, what was granted last holds for a while, and then there is no
limit any more until it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

from sweeper.launch.answer import answer
from sweeper.launch.queue import queue
from sweeper.share.claim import Claim, Grant

_REPORT_EVERY_S = 1.0
_ANSWER_S = 5.0  # beyond that
_LEAVE_S = 2.0  # for the answer to a farewell, which counts either way: who ends has little time
_AGAIN_S = 0.5  # after a failure
_FIRST_S = 60.0  # for the queue to start: a cluster may be busy
_KEPT_S = 30.0  # without an answer


class Member:
    """`claim` is what there is to report; `heed` is called when something else is granted."""

    def __init__(self, claim: Callable[[], Claim], heed: Callable[[], None], notice: Callable[[str], None]) -> None:
        self._claim = claim
        self._heed = heed
        self._notice = notice
        self._queue: Any = None
        self._news = asyncio.Event()
        self._trusted_until = 0.0
        self._is_warned = False
        self._is_known = False  # the queue has answered
        self.grant: Grant | None = Grant()  # None: no limit
        self.told = Grant()  # last, and not forgotten when the queue falls silent

    def has_news(self) -> None:
        """Report at once: something was given back, or is lacking."""
        self._news.set()

    def leave(self, sweep: str) -> None:
        """The sweep is over. The last one takes the queue along."""
        import ray

        if self._queue is not None:
            with contextlib.suppress(ray.exceptions.RayError, ValueError):
                if not answer(self._queue.leave.remote(sweep), _LEAVE_S):
                    ray.kill(self._queue)

    async def attend(self) -> None:
        """Be one, for ever."""
        from ray.exceptions import RayError

        self._trusted_until = time.monotonic() + _FIRST_S
        while True:
            try:
                if self._queue is None:
                    self._queue = await asyncio.to_thread(queue)
                self._take(await self._reported())
            except (RayError, TimeoutError, ValueError):  # it dies, starts again, or cannot be reached
                self._queue = None
                self._miss()
                await asyncio.sleep(_AGAIN_S)

    async def _reported(self) -> Grant:
        """What is granted, once that has changed or a second has passed; what there is to say meanwhile is said."""
        calls: set[asyncio.Task[Grant]] = set()
        try:
            while True:
                self._news.clear()
                known = self.grant if self._is_known else None
                call = self._queue.report.remote(self._claim(), known, _REPORT_EVERY_S)
                calls.add(asyncio.create_task(_answer(call)))
                if answered := await self._first_of(calls):
                    return answered.result()
        finally:
            for task in calls:
                task.cancel()

    async def _first_of(self, calls: set[asyncio.Task[Grant]]) -> asyncio.Task[Grant] | None:
        """The first that is answered; None where there is something new to say before. Raises TimeoutError."""
        news = asyncio.create_task(self._news.wait())
        try:
            limit_s = _REPORT_EVERY_S + (_ANSWER_S if self._is_known else _FIRST_S)
            await asyncio.wait([*calls, news], timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
        answered = next((call for call in calls if call.done()), None)
        if answered is None and not self._news.is_set():
            raise TimeoutError
        return answered

    def _take(self, grant: Grant) -> None:
        self._is_known, self._is_warned = True, False
        self._trusted_until = time.monotonic() + _KEPT_S
        is_new = self.grant is None or (grant.allowed, grant.most) != (self.grant.allowed, self.grant.most)
        self.grant = self.told = grant
        if is_new:
            self._heed()

    def _miss(self) -> None:
        if time.monotonic() > self._trusted_until and self.grant is not None:
            self.grant = None
            self._heed()
            if not self._is_warned:
                self._is_warned = True
                self._notice("the cluster's queue does not answer: this sweep takes what room there is meanwhile")


async def _answer(call: Any) -> Grant:
    found: Grant = await call
    return found
