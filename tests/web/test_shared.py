"""Many readers of one page cost as much as one, and nobody is shown what is old."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from sweeper.web.shared import Shared


class Counting:
    """An application that counts how often it works, and works as long as it is held."""

    def __init__(self) -> None:
        self.worked = 0
        self.status = 200
        self.size = 1
        self.held = asyncio.Event()
        self.held.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.worked += 1
        number = self.worked
        await self.held.wait()
        await PlainTextResponse(str(number) * self.size, self.status)(scope, receive, send)


async def ask(site: Shared, path: str = "/study", query: bytes = b"", method: str = "GET") -> str:
    scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": []}
    said: list[Message] = []

    async def send(message: Message) -> None:
        said.append(message)

    await site(scope, Request(scope).receive, send)
    return b"".join(message.get("body", b"") for message in said).decode()


def run(fresh_s: float, *, status: int = 200, size: int = 1) -> tuple[Counting, Shared]:
    app = Counting()
    app.status, app.size = status, size
    return app, Shared(app, {"/study"}, fresh_s)


def test_who_asks_at_the_same_time_gets_the_same_answer() -> None:
    async def story() -> None:
        app, site = run(0.0)
        app.held.clear()
        readers = [asyncio.create_task(ask(site)) for _ in range(50)]
        other = asyncio.create_task(ask(site, query=b"study=x"))
        await asyncio.sleep(0)
        app.held.set()
        assert set(await asyncio.gather(*readers)) == {"1"}
        assert await other == "2" and app.worked == 2

    asyncio.run(story())


def test_an_answer_is_kept_for_a_moment_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    async def story() -> None:
        _, site = run(1.0)
        assert await ask(site) == "1"
        now[0] += 0.9
        assert await ask(site) == "1"
        now[0] += 0.2
        assert await ask(site) == "2"

    asyncio.run(story())


@pytest.mark.parametrize(("status", "size"), [(503, 1), (404, 1), (200, 3 << 20)])
def test_errors_and_what_is_large_are_not_kept(status: int, size: int) -> None:
    async def story() -> None:
        app, site = run(60.0, status=status, size=size)
        await ask(site)
        await ask(site)
        assert app.worked == 2

    asyncio.run(story())


def test_other_paths_and_methods_are_nobody_elses() -> None:
    async def story() -> None:
        app, site = run(60.0)
        for path, method in (("/file", "GET"), ("/file", "GET"), ("/study", "HEAD"), ("/study", "HEAD")):
            await ask(site, path, method=method)
        assert app.worked == 4

    asyncio.run(story())


def test_only_so_many_are_kept() -> None:
    async def story() -> None:
        app, site = run(60.0)
        for i in range(300):
            await ask(site, query=str(i).encode())
        assert len(site._kept) == 128
        await ask(site, query=b"299")
        assert app.worked == 300

    asyncio.run(story())


def test_a_reader_who_leaves_takes_nothing_from_the_others() -> None:
    async def story() -> None:
        app, site = run(0.0)
        app.held.clear()
        first, second = (asyncio.create_task(ask(site)) for _ in range(2))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
        app.held.set()
        assert await first == "1"

    asyncio.run(story())
