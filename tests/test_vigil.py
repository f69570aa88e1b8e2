from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from sweeper import vigil
from sweeper.brake import Brake
from sweeper.record.outage import Health

FINE, SHORT, LONG = Health(0.0, None, 0), Health(0.5, "no route", 1), Health(70.0, "no route", 9)


@dataclass
class Record:
    """A record whose health is a script, one line for each look; the sweep is over after the last."""

    lines: list[Health]
    limit_s: float = 900.0
    looks: int = 0

    def health(self) -> Health:
        self.looks += 1
        return self._now()

    def takes_trials(self) -> bool:
        return self._now().outage_s < self.limit_s

    def _now(self) -> Health:
        return self.lines[min(self.looks, len(self.lines)) - 1]


@pytest.fixture(autouse=True)
def _no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vigil, "_LOOK_S", 0.6)
    sleep = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda _: sleep(0))


def said(record: Record, brake: Brake) -> list[str]:
    notices: list[str] = []

    async def sweep() -> None:
        while record.looks <= len(record.lines):
            await asyncio.sleep(0)

    asyncio.run(vigil.watched(sweep(), record, notices.append, brake))
    return notices


def test_an_outage_is_said_once_and_so_is_its_end() -> None:
    brake = Brake()
    assert said(Record([FINE, SHORT, LONG, LONG, FINE, FINE]), brake) == [
        "the database cannot be written (no route): trials go on, and what they write waits on disk",
        "the database can be written again",
    ]
    assert not brake.is_draining


def test_after_the_limit_no_trial_is_started() -> None:
    brake = Brake()
    notices = said(Record([LONG, LONG], limit_s=60.0), brake)
    assert notices[1:] == ["no further trials: the database could not be written for 1 minutes (no route)"]
    assert brake.is_draining and not brake.is_stopping


def test_a_sweep_that_breaks_off_is_heard() -> None:
    async def broken() -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        asyncio.run(vigil.watched(broken(), Record([FINE]), print, Brake()))
