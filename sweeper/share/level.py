"""Weighted max-min fairness of what can be divided at will.

Everybody's share rises with the same water level times his weight, until it is all he can use or a place where he may
be served is full. Those who may be served in few places only (one kind of card) meet their limit there alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

_SLACK = 1e-9

Places = frozenset[Hashable]


@dataclass(frozen=True, slots=True)
class Want:
    """What somebody asks for."""

    weight: float
    most: float  # that he can use
    places: Places  # where he may be served
    least: float = 0.0  # comes first, whatever the priority
    priority: int = 0

    def at(self, level: float) -> float:
        return min(self.most, max(self.least, level * self.weight))


def fair(wants: Sequence[Want], capacities: Mapping[Hashable, float]) -> list[float]:
    """What each gets: his least first, then by priority, and by weight among those of one priority."""
    floors = [replace(want, least=0.0, most=min(want.least, want.most)) for want in wants]
    given = levelled(floors, capacities)
    for priority in sorted({want.priority for want in wants}, reverse=True):
        turn = [
            replace(want, least=had, most=max(had, want.most) if want.priority == priority else had)
            for want, had in zip(wants, given, strict=True)
        ]
        given = levelled(turn, capacities)
    return given


def levelled(wants: Sequence[Want], capacities: Mapping[Hashable, float]) -> list[float]:
    """Weighted max-min shares; `least` is kept where all of them fit."""
    given: dict[int, float] = {}
    regions = _regions({want.places for want in wants})
    while len(given) < len(wants):
        levels = [(_level_in(region, wants, given, capacities), region) for region in regions]
        level, region = min(levels, key=lambda found: found[0], default=(math.inf, frozenset()))
        for number, want in enumerate(wants):
            if number not in given and (level == math.inf or want.places <= region):
                given[number] = want.at(level)
        regions = [other for other in regions if other != region]
    return [given[number] for number in range(len(wants))]


def _level_in(
    region: Places, wants: Sequence[Want], given: Mapping[int, float], capacities: Mapping[Hashable, float]
) -> float:
    """The level at which those who may be served nowhere else have filled a region; infinite where they cannot."""
    inside = [number for number, want in enumerate(wants) if want.places <= region]
    free = sum(capacities.get(place, 0.0) for place in region) - sum(given.get(number, 0.0) for number in inside)
    return _level([wants[number] for number in inside if number not in given], max(0.0, free))


def _level(wants: Sequence[Want], free: float) -> float:
    if sum(want.most for want in wants) <= free + _SLACK:
        return math.inf
    marks = sorted({0.0} | {mark / want.weight for want in wants for mark in (want.least, want.most)})
    for low, high in itertools.pairwise(marks):
        at_low, at_high = (sum(want.at(level) for want in wants) for level in (low, high))
        if at_high >= free:
            rise = at_high - at_low
            return low + (high - low) * max(0.0, free - at_low) / rise if rise > 0 else low
    return marks[-1]


def _regions(sets: set[Places]) -> list[Places]:
    """All unions of some of these sets."""
    found: set[Places] = set()
    for one in sets:
        found |= {one} | {one | other for other in found}
    return sorted(found, key=lambda region: (len(region), sorted(map(repr, region))))
