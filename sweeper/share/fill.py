"""From fair amounts to slots on nodes.

One slot after the other goes to whoever, with half of it, would be furthest below his goal; what nobody's goal needs
goes to whoever can use it. Slots stay where they are held, as far as that leaves the others theirs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sweeper.launch.room import Offer, Place, Room
from sweeper.trial import Resources

_KEPT = 0.4  # of a slot: by so much must another be more in need, for a slot to change hands
_SLACK = 1e-6


@dataclass
class Asker:
    """A sweep that is given slots."""

    unit: Resources
    slot: float  # how much of what is shared one slot holds
    goal: float
    least: float  # of what is shared
    most: int  # slots that it can use
    priority: int
    weight: float
    held: Mapping[str, int]  # slots by node
    closed: frozenset[str] = frozenset()
    got: int = 0
    is_full: bool = False  # there is no room for a further slot

    @property
    def held_in_all(self) -> int:
        return sum(self.held.values()) // self.unit.nodes

    @property
    def reach(self) -> float:
        """Where half of a further slot would bring it; a slot that it holds counts less, so that it stays."""
        return (self.got + 0.5 - (_KEPT if self.got < self.held_in_all else 0.0)) * self.slot

    @property
    def is_below_goal(self) -> bool:
        return self.reach <= self.goal + _SLACK

    def need(self) -> tuple[float, float]:
        """Who has the least of it comes first."""
        return self.reach / max(self.goal, self.weight * _SLACK), self.reach / self.weight


Slots = list[tuple[Place, ...]]


def fill(room: Room, askers: Sequence[Asker]) -> list[Slots]:
    """The slots of each; takes them of the room."""
    seats = _in_turn(room.copy(), askers)
    counts = [len(one.slots) for one in seats]
    held = [asker.held_in_all for asker in askers]
    seats = _in_place(room.copy(), askers, counts, held) or _in_place(room.copy(), askers, counts, counts) or seats
    for one in seats:
        for places in one.slots:
            room.hold(places)
        one.asker.got, one.asker.is_full = len(one.slots), False
    _hand_out_by_priority(room, seats, lambda _: True)  # where it lies otherwise, more may fit
    return [one.slots for one in seats]


def _in_turn(room: Room, askers: Sequence[Asker]) -> list[_Seats]:
    """Count and place at once: what one gets limits where the next can go."""
    seats = [_Seats(asker) for asker in askers]
    for asker in askers:
        asker.got, asker.is_full = 0, False
    _hand_out_by_priority(room, seats, lambda asker: asker.got * asker.slot + _SLACK < asker.least)
    _hand_out_by_priority(room, seats, lambda asker: asker.is_below_goal)
    _hand_out_by_priority(room, seats, lambda _: True)
    return seats


def _hand_out_by_priority(room: Room, seats: Sequence[_Seats], is_due: Callable[[Asker], bool]) -> None:
    for priority in sorted({one.asker.priority for one in seats}, reverse=True):
        _hand_out(room, [one for one in seats if one.asker.priority == priority], is_due)


def _hand_out(room: Room, seats: Sequence[_Seats], is_due: Callable[[Asker], bool]) -> None:
    while due := [
        one for one in seats if not one.asker.is_full and one.asker.got < one.asker.most and is_due(one.asker)
    ]:
        one = min(due, key=lambda one: one.asker.need())
        if one.take(room):
            one.asker.got += 1
        else:
            one.asker.is_full = True


def _in_place(room: Room, askers: Sequence[Asker], counts: Sequence[int], kept: Sequence[int]) -> list[_Seats] | None:
    """So many slots for each, and so many held ones where they are; None where not all of them fit in that way."""
    seats = [_Seats(asker) for asker in askers]
    spare = []
    for one, count, most in zip(seats, counts, kept, strict=True):
        while len(one.slots) < most and one.keep(room):
            pass
        spare.append(max(0, len(one.slots) - count))
    for one, count, more in zip(seats, counts, spare, strict=True):
        while len(one.slots) - more < count:
            if not one.take(room):
                return None
    return seats


@dataclass
class _Seats:
    """The slots that one gets."""

    asker: Asker
    slots: Slots = field(default_factory=list)
    _left: Counter[str] = field(default_factory=Counter)  # held slots that are not among them yet

    def __post_init__(self) -> None:
        self._left.update(self.asker.held)

    def take(self, room: Room) -> bool:
        """One more, where it is held or anywhere."""
        return self.keep(room) or self._sit(room.take(self.asker.unit, but=self.asker.closed))

    def keep(self, room: Room) -> bool:
        here = {node for node, count in self._left.items() if count > 0}
        if len(here) < self.asker.unit.nodes:
            return False
        return self._sit(room.take(self.asker.unit, but=room.offers.keys() - here))

    def _sit(self, places: tuple[Place, ...] | None) -> bool:
        if places is None:
            return False
        self.slots.append(places)
        self._left.subtract(place.node for place in places)
        return True


def slots_held(offers: Mapping[str, Offer], unit: Resources, held: Mapping[str, float]) -> dict[str, int]:
    """How many slots an amount on each node is, a part of one counted whole."""
    return {
        node: math.ceil(amount / size - _SLACK)
        for node, amount in held.items()
        if node in offers and (size := size_of(offers[node], unit)) > 0 and amount > _SLACK
    }


def size_of(offer: Offer, unit: Resources) -> float:
    """How much of what is shared one slot holds on a node."""
    share = offer.share(unit)
    if share is None:
        return 0.0
    return share if share > 0 else unit.cpus
