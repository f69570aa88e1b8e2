"""The actor, spoken to without Ray."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hydra._internal.callbacks import Callbacks

from sweeper.launch.actor import SlotActor
from sweeper.run.app import App
from sweeper.trial import Ended, Event, Failure, Isolation
from tests.run import deadly
from tests.spec import spec_for


def test_a_trial_whose_slot_breaks_has_an_end(tmp_path: Path) -> None:
    async def main() -> tuple[Event, ...]:
        actor = SlotActor(App.of(deadly.returns_nothing, Callbacks()), {}, Isolation.PROCESS)
        return await actor.begin(spec_for(tmp_path, {}), patience_s=60.0)

    (end,) = asyncio.run(main())

    assert isinstance(end, Ended)
    assert end.failure == Failure.LOST
    assert "its slot broke: the app cannot be imported" in (end.error or "")
