"""The actor, spoken to without Ray."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hydra._internal.callbacks import Callbacks

from sweeper.launch.actor import SlotActor
from sweeper.run.app import App, Task
from sweeper.trial import Captured, Ended, Event, Failure, Isolation, Measured, Started, TrialSpec, lines_of
from tests.events import apart
from tests.run import apps, deadly
from tests.spec import spec_for


def actor_of(task: Task) -> SlotActor:
    return SlotActor(App.of(task, Callbacks()), {}, Isolation.PROCESS)


async def heard_to_its_end(actor: SlotActor, spec: TrialSpec) -> list[Event]:
    events = [*await actor.begin(spec, patience_s=60.0)]
    while not isinstance(events[-1], Ended):
        events += await actor.hear(spec.run, lines_of(events), patience_s=60.0)
    return events


@pytest.mark.slow
def test_calls_that_come_late_harm_no_other_trial(tmp_path: Path) -> None:
    """Ray keeps no order among the calls of an actor like this, and makes some of them again."""
    first, second = (spec_for(tmp_path, {"x": 3.0}, number=number) for number in range(2))

    async def main() -> list[Event]:
        actor = actor_of(apps.returns)
        await heard_to_its_end(actor, first)
        begun = asyncio.create_task(actor.begin(second, patience_s=60.0))
        await asyncio.sleep(0)
        await actor.forget(first.run)
        with pytest.raises(LookupError):
            await actor.hear(first.run, 5, patience_s=60.0)
        await begun
        heard = await heard_to_its_end(actor, second)
        await actor.forget(second.run)
        with pytest.raises(LookupError):  # its journal says what it came to: it is not run again
            await actor.begin(second, patience_s=60.0)
        actor._host.close()
        return apart(heard)

    assert [type(event) for event in asyncio.run(main())] == [Started, Captured, Measured, Captured, Ended]


def test_a_trial_whose_slot_breaks_has_an_end(tmp_path: Path) -> None:
    async def main() -> tuple[Event, ...]:
        return await actor_of(deadly.returns_nothing).begin(spec_for(tmp_path, {}), patience_s=60.0)

    (end,) = asyncio.run(main())

    assert isinstance(end, Ended)
    assert end.failure == Failure.LOST
    assert "its slot broke: the app cannot be imported" in (end.error or "")
