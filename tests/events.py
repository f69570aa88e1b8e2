"""Events as they were said, one by one."""

from __future__ import annotations

from collections.abc import Iterable

from sweeper.run.journal import decode, encode
from sweeper.trial import Event, Logged, Measured


def apart(events: Iterable[Event]) -> list[Event]:
    """The events, with measurements that have travelled together taken apart."""
    return [one for event in events for one in _parts(event)]


def together(events: Iterable[Measured]) -> Logged:
    """The other way round."""
    lines = [encode(event) for event in events]
    return Logged(next(iter(events)).run, len(lines), b"".join(lines))


def _parts(event: Event) -> list[Event]:
    if isinstance(event, Logged):
        return [decode(line, event.run) for line in event.lines.splitlines()]
    return [event]
