"""One run in a process of its own, from its spec to its end, as the slots of a sweep run theirs."""

from __future__ import annotations

from collections.abc import Callable

from sweeper.lone import LoneRun, without_value
from sweeper.run.app import App
from sweeper.run.host import Host
from sweeper.trial import Captured, Ended, Event, Reported

Notice = Callable[[Captured], None]


class Replay:
    """Hears a run out, and plays the driver's part in it."""

    def __init__(self, run: LoneRun, pruned_at: int | None, has_value: bool, captured: Notice) -> None:
        self._run = run
        self._pruned_at = pruned_at  # a run that was pruned is pruned at the same step again
        self._has_value = has_value
        self._captured = captured

    async def conduct(self, app: App) -> Ended:
        """Run it to its end; every event is on its way to the database before the next is heard."""
        host = Host(app, {})
        try:
            async for events in host.run(self._run.spec):
                heard = [self._understood(event) for event in events]
                self._run.heard(heard)
                for event in heard:
                    if isinstance(event, Captured):
                        self._captured(event)
                    elif isinstance(event, Reported):
                        host.answer(event.step, self._pruned_at is not None and event.step >= self._pruned_at)
                if isinstance(heard[-1], Ended):
                    return heard[-1]
        finally:
            host.close()
        raise RuntimeError(f"the process fell silent about run {self._run.spec.run}")

    def _understood(self, event: Event) -> Event:
        return event if self._has_value or not isinstance(event, Ended) else without_value(event)
