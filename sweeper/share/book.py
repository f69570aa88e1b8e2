"""The sweeps that live on one cluster, and what each may hold: the state of the queue.

It is made anew out of the drivers' next reports where it was lost: each carries its own account.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sweeper.launch.room import Offer, Room
from sweeper.share.balance import Account, passed
from sweeper.share.claim import NOTHING, Amount, Claim, Grant, Standing
from sweeper.share.fill import Asker, Slots, fill, size_of, slots_held
from sweeper.share.level import Want, fair

SILENT_S = 10.0  # after which a driver counts no more
_LONGEST_STEP_S = 5.0  # of time that is accounted for at once: a queue that was paused saw nothing of it
_SLACK = 1e-6


@dataclass
class _Entry:
    claim: Claim
    heard_at: float
    account: Account
    fair: float = 0.0
    is_of_gpus: bool = True
    grant: Grant = field(default_factory=Grant)


@dataclass
class Book:
    """Times are seconds by any clock that never goes back."""

    _entries: dict[str, _Entry] = field(default_factory=dict)
    _settled_at: float | None = None
    _offers: Mapping[str, Offer] = field(default_factory=dict)

    def report(self, claim: Claim, now: float) -> None:
        """A driver has said what its sweep holds and could use. An heir takes the place of the dead at once."""
        known = self._entries.get(claim.by.sweep)
        if known is None:
            known = self._entries[claim.by.sweep] = _Entry(claim, now, Account(claim.used_s, claim.balance_s))
        known.claim, known.heard_at = claim, now
        for dead in claim.heir_of & self._entries.keys():
            known.account.inherit(self._entries.pop(dead).account)

    def leave(self, sweep: str) -> None:
        """A driver has ended."""
        self._entries.pop(sweep, None)

    def drop_silent(self, now: float) -> None:
        """Count no longer whoever has not been heard of for long."""
        self._entries = {sweep: entry for sweep, entry in self._entries.items() if now - entry.heard_at <= SILENT_S}

    def grant(self, sweep: str) -> Grant:
        """As it was settled last. Raises KeyError for one that does not count."""
        entry = self._entries[sweep]
        return replace(entry.grant, used_s=entry.account.used_s, balance_s=entry.account.balance_s)

    def held(self) -> dict[str, Amount]:
        """What the sweeps that live hold of each node between them."""
        found: dict[str, Amount] = defaultdict(lambda: NOTHING)
        for entry in self._entries.values():
            for node, amount in entry.claim.held.items():
                found[node] = _sum(found[node], amount)
        return dict(found)

    def memories(self) -> dict[str, int]:
        """How large the cards of each node are, as far as a driver has looked."""
        return {node: size for entry in self._entries.values() for node, size in entry.claim.memories.items()}

    def settle(self, offers: Sequence[Offer], foreign: Mapping[str, Amount], now: float) -> None:
        """Find anew what each may hold of these nodes, of which others than these sweeps hold something."""
        self._pass(now)
        self.drop_silent(now)
        self._offers = {offer.node: _less(offer, foreign.get(offer.node, NOTHING)) for offer in offers}
        room = Room()
        room.see(self._offers.values())
        targets: dict[str, Slots] = {}
        for is_of_gpus in (True, False):  # cards do not wait for processors
            entries = [entry for entry in self._entries.values() if entry.claim.is_of_gpus == is_of_gpus]
            self._level(entries, room)
            askers = [self._asker(entry) for entry in entries]
            targets |= zip((entry.claim.by.sweep for entry in entries), fill(room, askers), strict=True)
        self._leave_in_peace(room, targets)
        self._grant(targets)

    def standings(self) -> list[Standing]:
        """Everybody, by priority and name of the study."""
        rows = [_standing(entry, self._slot(entry.claim)) for entry in self._entries.values()]
        return sorted(rows, key=lambda row: (-row.priority, row.study, row.sweep))

    def __contains__(self, sweep: str) -> bool:
        return sweep in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def _pass(self, now: float) -> None:
        seconds = 0.0 if self._settled_at is None else min(_LONGEST_STEP_S, max(0.0, now - self._settled_at))
        self._settled_at = now
        for is_of_gpus in (True, False):
            entries = [entry for entry in self._entries.values() if entry.claim.is_of_gpus == is_of_gpus]
            held = [entry.claim.holding for entry in entries]
            passed(seconds, [entry.account for entry in entries], held, [entry.fair for entry in entries])

    def _level(self, entries: Sequence[_Entry], room: Room) -> None:
        """What would be fair now if it could be divided at will."""
        kinds: dict[Hashable, float] = defaultdict(float)
        suiting: list[set[Hashable]] = [set() for _ in entries]
        for node, offer in self._offers.items():
            kind = frozenset(number for number, entry in enumerate(entries) if _suits(offer, entry.claim))
            used_cpus, _ = room.taken(node)
            kinds[kind] += max((_usable(offer, used_cpus, entries[number].claim) for number in kind), default=0.0)
            for number in kind:
                suiting[number].add(kind)
        wants = [
            Want(
                weight=entry.claim.by.terms.weight,
                most=self._most(entry.claim) * self._slot(entry.claim),
                places=frozenset(places),
                least=entry.claim.by.terms.least,
                priority=entry.claim.by.terms.priority,
            )
            for entry, places in zip(entries, suiting, strict=True)
        ]
        for entry, due in zip(entries, fair(wants, kinds), strict=True):
            entry.fair = due

    def _asker(self, entry: _Entry) -> Asker:
        claim = entry.claim
        held = {node: claim.amount(amount) for node, amount in claim.held.items()}
        paces = [other.claim.pace_s for other in self._entries.values()]
        return Asker(
            unit=claim.unit,
            slot=self._slot(claim),
            goal=entry.account.goal(entry.fair, self._slot(claim), max(paces)),
            least=claim.by.terms.least,
            most=self._most(claim),
            priority=claim.by.terms.priority,
            weight=claim.by.terms.weight,
            held=slots_held(self._offers, claim.unit, held),
            closed=claim.closed,
        )

    def _slot(self, claim: Claim) -> float:
        """How much of what is shared one slot holds."""
        sizes = (size_of(offer, claim.unit) for offer in self._offers.values() if _suits(offer, claim))
        alone = max(sizes, default=claim.unit.gpus or claim.unit.cpus)
        return alone * claim.unit.nodes

    def _most(self, claim: Claim) -> int:
        """How many slots it can use."""
        slot = self._slot(claim)
        if claim.by.terms.most is None or not slot:
            return claim.wanted
        return min(claim.wanted, math.floor(claim.by.terms.most / slot + _SLACK))

    def _leave_in_peace(self, room: Room, targets: Mapping[str, Slots]) -> None:
        """What nobody wants stays where it is."""
        for sweep, entry in self._entries.items():
            claim = entry.claim
            held = {node: claim.amount(amount) for node, amount in claim.held.items()}
            for node, count in slots_held(self._offers, claim.unit, held).items():
                have = sum(place.node == node for places in targets[sweep] for place in places)
                for _ in range(count - have):
                    if (places := room.take(replace(claim.unit, nodes=1), but=room.offers.keys() - {node})) is None:
                        break
                    targets[sweep].append(places)

    def _grant(self, targets: Mapping[str, Slots]) -> None:
        held = self.held()
        free = {
            node: (offer.cpus - held.get(node, NOTHING)[0], offer.gpus - held.get(node, NOTHING)[1])
            for node, offer in self._offers.items()
        }
        lacking: list[tuple[_Entry, dict[str, float]]] = []
        granted: dict[str, dict[str, Amount]] = {}
        wanted = {sweep: _amounts(slots) for sweep, slots in targets.items()}
        for sweep, entry in sorted(self._entries.items(), key=lambda item: -item[1].claim.by.terms.priority):
            granted[sweep], lack = _allowed(entry.claim, wanted[sweep], free)
            lacking.append((entry, lack))
        for sweep, entry in sorted(self._entries.items(), key=lambda item: item[1].claim.by.terms.priority):
            entry.grant = Grant(granted[sweep], _most(entry.claim, wanted[sweep], lacking))


def _allowed(
    claim: Claim, target: Mapping[str, Amount], free: dict[str, Amount]
) -> tuple[dict[str, Amount], dict[str, float]]:
    """What a sweep may hold of each node now, taken off what is free, and what it lacks until others give it back."""
    allowed, lack = {}, {}
    for node, (cpus, gpus) in target.items():
        had_cpus, had_gpus = claim.held.get(node, NOTHING)
        free_cpus, free_gpus = free[node]
        more_gpus = max(0.0, min(gpus - had_gpus, free_gpus))
        more_cpus = max(0.0, min(cpus - had_cpus, free_cpus))
        free[node] = (free_cpus - more_cpus, free_gpus - more_gpus)
        if claim.is_of_gpus:  # whose number of processors is not what is counted: a card may have several trials
            allowed[node] = (had_cpus + max(0.0, free_cpus), min(gpus, had_gpus) + more_gpus)
        else:
            allowed[node] = (min(cpus, had_cpus) + more_cpus, gpus)
        lack[node] = claim.amount((cpus, gpus)) - claim.amount(allowed[node])
    return allowed, lack


def _most(
    claim: Claim, target: Mapping[str, Amount], lacking: Iterable[tuple[_Entry, dict[str, float]]]
) -> dict[str, float]:
    """What a sweep may keep of nodes where those of a higher priority lack something; taken off what they lack."""
    found: dict[str, float] = {}
    above = [
        lack
        for other, lack in lacking
        if other.claim.by.terms.priority > claim.by.terms.priority and other.claim.is_of_gpus == claim.is_of_gpus
    ]
    for node, amount in claim.held.items():
        holding = claim.amount(amount)
        over = holding - claim.amount(target.get(node, NOTHING))
        for lack in above:
            part = max(0.0, min(over, lack.get(node, 0.0)))
            if part > _SLACK:
                found[node] = found.get(node, holding) - part
                lack[node] -= part
                over -= part
    return found


def _amounts(slots: Slots) -> dict[str, Amount]:
    found: dict[str, Amount] = defaultdict(lambda: NOTHING)
    for places in slots:
        for place in places:
            found[place.node] = _sum(found[place.node], (place.need.cpus, place.need.gpus))
    return dict(found)


def _sum(one: Amount, other: Amount) -> Amount:
    return one[0] + other[0], one[1] + other[1]


def _less(offer: Offer, foreign: Amount) -> Offer:
    return replace(
        offer, cpus=max(0.0, offer.cpus - foreign[0]), gpus=max(0, math.floor(offer.gpus - foreign[1] + _SLACK))
    )


def _suits(offer: Offer, claim: Claim) -> bool:
    return offer.node not in claim.closed and offer.suits(claim.unit)


def _usable(offer: Offer, used_cpus: float, claim: Claim) -> float:
    """How much of what is shared a node has for a sweep."""
    cpus = offer.cpus - used_cpus
    if not claim.is_of_gpus:
        return cpus
    by_cpus = cpus / claim.unit.cpus * size_of(offer, claim.unit) if claim.unit.cpus else math.inf
    return min(float(offer.gpus), by_cpus)


def _standing(entry: _Entry, slot: float) -> Standing:
    claim, terms = entry.claim, entry.claim.by.terms
    held = claim.holding
    return Standing(
        sweep=claim.by.sweep,
        study=claim.by.study,
        user=claim.by.user,
        host=claim.by.host,
        weight=terms.weight,
        priority=terms.priority,
        least=terms.least,
        most=terms.most,
        resource="GPU" if claim.is_of_gpus else "CPU",
        slot=slot,
        share=entry.fair,
        held=held,
        running=claim.running,
        waiting=max(0, claim.wanted - claim.running),
        used_s=entry.account.used_s,
        balance_s=entry.account.balance_s,
    )
