"""Many readers of one page cost as much as one: an address is worked out once, and kept for the others for a moment."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

FRESH_S = 1.0  # for which an answer is kept
TIMES = 10.0  # as long as it took to work out, where that is longer: no address takes more than a tenth of a core
LONGEST_S = 10.0
MOST = 128  # answers
LARGEST = 2 << 20  # bytes of one

Key = tuple[str, bytes]


@dataclass(frozen=True)
class Answer:
    """What an address gave, and until when that is fresh enough."""

    messages: list[Message]
    until: float

    @property
    def is_kept(self) -> bool:
        """Errors are worked out anew, and what is large would fill the memory."""
        size = sum(len(message.get("body", b"")) for message in self.messages)
        return bool(self.messages) and self.messages[0]["status"] == 200 and size <= LARGEST


@dataclass
class Shared:
    """The application, with its answers at `paths` shared by those who ask at the same time."""

    site: ASGIApp
    paths: Collection[str]
    fresh_s: float
    _kept: OrderedDict[Key, Answer] = field(default_factory=OrderedDict)
    _working: dict[Key, asyncio.Future[Answer]] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] not in self.paths:
            await self.site(scope, receive, send)
            return
        key = scope["path"], scope["query_string"]
        found = self._kept.get(key)
        if found is None or found.until < time.monotonic():
            working = self._working.get(key)
            found = await (asyncio.shield(working) if working else self._worked_out(key, scope, receive))
        for message in found.messages:
            await send(dict(message))  # headers are added on the way out

    def _for(self, took_s: float) -> float:
        """How long an answer is kept that took so long; not at all where nothing is to be shared."""
        return min(max(self.fresh_s, TIMES * took_s), LONGEST_S) if self.fresh_s else 0.0

    async def _worked_out(self, key: Key, scope: Scope, receive: Receive) -> Answer:
        messages: list[Message] = []
        began = time.monotonic()
        future = self._working[key] = asyncio.get_running_loop().create_future()

        async def kept(message: Message) -> None:
            messages.append(message)

        try:
            await self.site(scope, receive, kept)
        finally:
            took = time.monotonic() - began
            found = Answer(messages, began + took + self._for(took))
            del self._working[key]
            future.set_result(found)
        if found.is_kept:
            self._kept[key] = found
            self._kept.move_to_end(key)
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
        return found
