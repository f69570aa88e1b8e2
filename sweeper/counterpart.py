"""Whom the loop speaks to, as it sees them: the study, the record, whoever looks on."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from sweeper.study import Asked
from sweeper.trial import Ended, Event, Reported, TrialSpec


class Trials(Protocol):
    """The study as the loop sees it."""

    async def ask(self) -> Asked | None: ...
    async def should_prune(self, asked: Asked, reports: Sequence[Reported]) -> bool: ...
    async def tell(self, asked: Asked, ended: Ended) -> None: ...
    async def give_back(self, asked: Asked) -> None: ...
    async def retry(self, asked: Asked) -> None: ...
    async def kill(self, asked: Asked, why: str) -> None: ...


class Ledger(Protocol):
    """The record as the loop sees it; each future is done when the write is durable."""

    def run_opened(self, sweep: str, spec: TrialSpec) -> Future[None]: ...
    def run_adopted(self, sweep: str, run: str) -> Future[None]: ...
    def heard(self, events: Sequence[Event]) -> Future[None]: ...


class Watcher(Protocol):
    """Whoever looks on: the display."""

    def opened(self, spec: TrialSpec) -> None: ...
    def heard(self, spec: TrialSpec, event: Event) -> None: ...
    def told(self, spec: TrialSpec, ended: Ended) -> None: ...
    def slots(self, total: int) -> None: ...
    def notice(self, text: str) -> None: ...


@dataclass(frozen=True)
class Adopted:
    """A trial that runs in a slot whose driver is dead, and is this sweep's from now on."""

    asked: Asked
    spec: TrialSpec
