"""Who ran when and where: trials packed into the lanes they must have run in, and how long lanes stood idle."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

QUIET = 10.0  # times the longest trial, without any running, after which work is taken to have begun anew
SHORTEST_QUIET_S = 60.0


@dataclass(frozen=True, slots=True)
class Stay:
    """A trial from its start to its end, seconds since the epoch."""

    number: int
    state: str
    place: str  # a node, or GPUs of one
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Lane:
    """What ran one after the other at one place: a slot, as far as times tell."""

    place: str  # a node, or GPUs of one
    stays: tuple[Stay, ...]

    @property
    def busy_s(self) -> float:
        return sum(stay.end - stay.start for stay in self.stays)


@dataclass(frozen=True, slots=True)
class Session:
    """A stretch of work without a long break."""

    start: float
    end: float
    lanes: tuple[Lane, ...]

    @property
    def offered_s(self) -> float:
        return (self.end - self.start) * len(self.lanes)

    @property
    def idle_s(self) -> float:
        """How long lanes stood empty between the first start and the last end, all of them together."""
        return max(0.0, self.offered_s - sum(lane.busy_s for lane in self.lanes))


def sessions(stays: Sequence[Stay]) -> list[Session]:
    """Stretches of work, first to last."""
    if not stays:
        return []
    ordered = sorted(stays, key=lambda stay: (stay.start, stay.number))
    quiet = max(QUIET * max(stay.end - stay.start for stay in ordered), SHORTEST_QUIET_S)
    groups, until = [[ordered[0]]], ordered[0].end
    for stay in ordered[1:]:
        if stay.start > until + quiet:
            groups.append([])
        groups[-1].append(stay)
        until = max(until, stay.end)
    return [Session(group[0].start, max(stay.end for stay in group), _pack(group)) for group in groups]


def _pack(stays: Sequence[Stay]) -> tuple[Lane, ...]:
    """The fewest lanes of each place in which no two trials overlap, each trial in the one that is free longest."""
    lanes: dict[str, list[list[Stay]]] = {}
    free: dict[str, list[tuple[float, int]]] = {}
    for stay in stays:
        waiting, own = free.setdefault(stay.place, []), lanes.setdefault(stay.place, [])
        if waiting and waiting[0][0] <= stay.start:
            _, place = heapq.heappop(waiting)
        else:
            place = len(own)
            own.append([])
        own[place].append(stay)
        heapq.heappush(waiting, (stay.end, place))
    return tuple(Lane(node, tuple(own)) for node in sorted(lanes) for own in lanes[node])
