from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Self

import pytest
from hydra._internal.callbacks import Callbacks

from sweeper.launch import T
from sweeper.run.app import App, Task
from sweeper.run.host import Host
from sweeper.trial import Event, Failure, Isolation, TrialSpec
from tests.contracts.launcher import LauncherFor, ProcessContract


class HostSlot:
    """A host as a slot, without Ray around it."""

    def __init__(self, host: Host) -> None:
        self.host = host

    async def ready(self) -> None:
        await self.host.ready()

    def run(self, spec: TrialSpec) -> AsyncIterator[tuple[Event, ...]]:
        return self.host.run(spec)

    async def answer(self, step: int, prune: bool) -> None:
        self.host.answer(step, prune)

    async def stop(self, failure: Failure, error: str) -> None:
        self.host.stop(failure, error, grace_s=1.0)


class HostLauncher:
    def __init__(self, task: Task, isolation: Isolation) -> None:
        self.host = Host(App.of(task, Callbacks()), {}, isolation)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.host.close()

    def drive(self, main: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(main)

    async def slots(self) -> AsyncIterator[HostSlot]:
        yield HostSlot(self.host)


class TestFork(ProcessContract):
    @pytest.fixture(scope="class")
    @classmethod
    def launcher_for(cls) -> LauncherFor:
        return lambda task: HostLauncher(task, Isolation.PROCESS)


@pytest.mark.slow
class TestSpawn(ProcessContract):
    @pytest.fixture(scope="class")
    @classmethod
    def launcher_for(cls) -> LauncherFor:
        return lambda task: HostLauncher(task, Isolation.SPAWN)
