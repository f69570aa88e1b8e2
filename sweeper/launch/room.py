"""Which node has room for a trial, card by card: the driver's own account of a cluster, checked by nobody but tests.

Ray enforces shares; this says beforehand where a trial will fit, so that large trials do not starve behind small ones,
and what can never fit is told at once. Pure: it knows no Ray.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sweeper.text import size
from sweeper.trial import Resources

_SLACK = 1e-6  # of sums of shares: Ray itself counts in ten thousandths
_LEAST_SHARE = 1e-4


@dataclass(frozen=True, slots=True)
class Offer:
    """What a node has in all."""

    node: str  # Ray's id of it
    name: str  # for people
    cpus: float = 0.0
    gpus: int = 0
    accelerator: str | None = None  # Ray's short name of its cards: H100
    gpu_memory: int | None = None  # bytes of each card; None where nobody has looked
    labels: Mapping[str, str] = field(default_factory=dict)
    custom: Mapping[str, float] = field(default_factory=dict)
    allowed: tuple[float, float] | None = None  # CPUs and GPUs of it that this sweep may hold; None: all

    @property
    def most(self) -> tuple[float, float]:
        """CPUs and GPUs that may be taken here."""
        return (self.cpus, self.gpus) if self.allowed is None else self.allowed

    def suits(self, need: Resources) -> bool:
        """Whether it could run the trial if nothing of ours were on it."""
        share, (cpus, gpus) = self.share(need), self.most
        return (
            share is not None
            and cpus + _SLACK >= need.cpus
            and gpus + _SLACK >= share
            and self.is_of(need)
            and all(self.custom.get(name, 0.0) + _SLACK >= amount for name, amount in need.custom)
        )

    def is_of(self, need: Resources) -> bool:
        """Whether it has cards and labels of the kind that is asked for, as many as they may be."""
        named = not need.accelerators or (
            self.accelerator is not None and any(_is_named(self.accelerator, name) for name in need.accelerators)
        )
        return named and all(_allows(self.labels.get(key), value) for key, value in need.labels)

    def share(self, need: Resources) -> float | None:
        """How many of its cards, or what share of one, the trial holds; None where its cards are too small."""
        if not need.gpu_memory or self.gpu_memory is None:
            return need.gpus if need.gpus or not need.gpu_memory else 1.0
        if need.gpu_memory > self.gpu_memory:
            return 1.0 if need.is_packed else None  # what was only foretold is tried, alone
        if need.gpus:
            return need.gpus
        return max(_LEAST_SHARE, math.ceil(need.gpu_memory / self.gpu_memory / _LEAST_SHARE) * _LEAST_SHARE)


@dataclass(frozen=True, slots=True)
class Place:
    """Room taken on one node."""

    node: str
    need: Resources  # with `gpus` as they are held there
    cards: tuple[int, ...]  # the cards of the account; Ray may choose others


@dataclass
class _Used:
    cpus: float = 0.0
    cards: list[float] = field(default_factory=list)  # what share of each is taken
    custom: dict[str, float] = field(default_factory=dict)

    @property
    def gpus(self) -> float:
        return sum(min(1.0, card) for card in self.cards)  # one may be kept for somebody while others are on it

    def copy(self) -> _Used:
        return _Used(self.cpus, list(self.cards), dict(self.custom))


class Room:
    """The nodes that are there, and what is taken of them."""

    def __init__(self) -> None:
        self.offers: dict[str, Offer] = {}
        self._used: dict[str, _Used] = {}

    def see(self, offers: Iterable[Offer]) -> None:
        """The nodes that are there now. What was taken on one that is gone is taken no more."""
        self.offers = {offer.node: offer for offer in offers}
        self._used = {
            node: self._used.get(node) or _Used(cards=[0.0] * offer.gpus) for node, offer in self.offers.items()
        }

    def idle(self) -> list[str]:
        """Nodes with a whole card free, or half of their processors where they have no card."""
        return [node for node, used in self._used.items() if _is_idle(used, *self.offers[node].most)]

    def could_ever(self, need: Resources) -> bool:
        """Whether the nodes that are there could run the trial if they were empty."""
        return sum(offer.suits(need) for offer in self.offers.values()) >= need.nodes

    def take(self, need: Resources, but: Iterable[str] = ()) -> tuple[Place, ...] | None:
        """Room for a trial on as many nodes as it needs, none of them among `but`; None where there is none now.

        Of several nodes the one is taken that keeps least: cards are not broken into where a broken one has room.
        """
        closed = set(but)
        found = []
        for node, offer in self.offers.items():
            if node not in closed and (fitted := self._fitted(offer, need)) is not None:
                found.append(fitted)
        if len(found) < need.nodes:
            return None
        found.sort(key=lambda fitted: fitted[0])
        places = tuple(place for _, place in found[: need.nodes])
        for place in places:
            self._add(place, 1)
        return places

    def placed(self, needs: Sequence[Resources | None]) -> tuple[dict[int, tuple[Place, ...]], Room]:
        """Room for those in line that have some now, by their place in it; and what is left, for whoever comes.

        For one that must wait, room is kept where least has to be freed for it, so that others go past it only where
        that costs it nothing. What is kept takes no more trials and so becomes free: nobody starves.
        """
        found: dict[int, tuple[Place, ...]] = {}
        left = self.copy()
        for number, need in enumerate(needs):
            if need is None:
                continue
            places = left.take(need)
            if places is None:
                left._keep(need)
                continue
            found[number] = places
            for place in places:
                self._add(place, 1)
        return found, left

    def fits(self, need: Resources) -> bool:
        """Whether there is room for a trial now."""
        return sum(self._fitted(offer, need) is not None for offer in self.offers.values()) >= need.nodes

    def _keep(self, need: Resources) -> None:
        """Take what a trial waits for, over what others still hold."""
        suiting = [offer for offer in self.offers.values() if offer.suits(need)]
        wanted = [(node, self._least(offer, offer.share(need) or 0.0)) for offer in suiting if (node := offer.node)]
        wanted.sort(key=lambda one: sum(self._used[one[0]].cards[card] for card in one[1]))
        for node, cards in wanted[: need.nodes]:
            share = self.offers[node].share(need) or 0.0
            self._add(Place(node, _held(need, share), cards), 1)

    def _least(self, offer: Offer, share: float) -> tuple[int, ...]:
        """As many cards as a share needs: those with the least on them."""
        used = self._used[offer.node].cards
        return tuple(sorted(range(offer.gpus), key=lambda card: used[card])[: math.ceil(share - _SLACK)])

    def give(self, places: Sequence[Place]) -> None:
        """Give back what was taken."""
        for place in places:
            self._add(place, -1)

    def hold(self, places: Sequence[Place]) -> None:
        """Count as taken what is held already."""
        for place in places:
            self._add(place, 1)

    def seat(self, node: str, need: Resources) -> Place:
        """Room that somebody has on a node already, whether there is any or not."""
        used, share = self._used.get(node), need.gpus
        cards = range(len(used.cards)) if used is not None else range(0)
        emptiest = sorted(cards, key=lambda card: used.cards[card] if used is not None else 0.0)
        place = Place(node, need, tuple(emptiest[: math.ceil(share)]))
        self.hold([place])
        return place

    def taken(self, node: str) -> tuple[float, float]:
        """CPUs and GPUs of a node."""
        used = self._used.get(node) or _Used()
        return used.cpus, used.gpus

    def is_beyond(self, node: str) -> bool:
        """Whether more is taken of a node than may be."""
        offer = self.offers.get(node)
        if offer is None:
            return True
        (cpus, gpus), (most_cpus, most_gpus) = self.taken(node), offer.most
        return cpus > most_cpus + _SLACK or gpus > most_gpus + _SLACK

    def copy(self) -> Room:
        """The same, to try something out."""
        made = Room()
        made.offers = self.offers
        made._used = {node: used.copy() for node, used in self._used.items()}
        return made

    def _fitted(self, offer: Offer, need: Resources) -> tuple[tuple[float, ...], Place] | None:
        """Where a trial would go on a node, and how well it fits: the least is the best."""
        used, share = self._used[offer.node], offer.share(need)
        cpus, gpus = offer.most
        if share is None or not offer.suits(need) or used.cpus + need.cpus > cpus + _SLACK:
            return None
        if used.gpus + share > gpus + _SLACK:
            return None
        if any(used.custom.get(n, 0.0) + amount > offer.custom.get(n, 0.0) + _SLACK for n, amount in need.custom):
            return None
        cards = _cards(used.cards, share)
        if cards is None:
            return None
        left = gpus - used.gpus - share
        scarcity = 0.0 if share else float(offer.gpus)  # what needs no card keeps away from those that have some
        broken = -max((used.cards[card] for card in cards), default=0.0)
        return (scarcity, broken, left), Place(offer.node, _held(need, share), cards)

    def _add(self, place: Place, sign: int) -> None:
        used = self._used.get(place.node)
        if used is None:
            return  # the node is gone
        used.cpus += sign * place.need.cpus
        for name, amount in place.need.custom:
            used.custom[name] = used.custom.get(name, 0.0) + sign * amount
        for card in place.cards:
            used.cards[card] += sign * min(place.need.gpus, 1.0)


def needs(need: Resources) -> str:
    """A need as people say it: `2×A100`, `a quarter of a card` is `0.25 GPU`, with what else is asked for."""
    kind = " or ".join(need.accelerators) or "GPU"
    words = []
    if need.gpus:
        words.append(f"{need.gpus:g}×{kind}")
    elif need.accelerators:
        words.append(f"a node with {kind}")
    if need.gpu_memory:
        words.append(f"{size(need.gpu_memory)} of a card")
    if need.cpus:
        words.append(f"{need.cpus:g} CPU{'' if need.cpus == 1 else 's'}")
    words += [f"{amount:g}×{name}" for name, amount in need.custom]
    words += [f"{key}={value}" for key, value in need.labels]
    told = " and ".join(words) or "nothing"
    return f"{need.nodes} nodes with {told} each" if need.nodes > 1 else told


def why_never(need: Resources, offers: Sequence[Offer]) -> str:
    """Why a trial can never run on these nodes, as a phrase: `the largest node has 1`."""
    if not offers:
        return "the cluster has no node"
    suiting = sum(offer.suits(need) for offer in offers)
    if suiting:
        return f"only {suiting} node{' has' if suiting == 1 else 's have'} that"
    of_kind = [offer for offer in offers if offer.is_of(need)]
    if not of_kind:
        kinds = sorted({offer.accelerator for offer in offers if offer.accelerator})
        return f"no node has that; the cluster has {', '.join(kinds) or 'no GPU'}"
    most = max(offer.gpus for offer in of_kind)
    if need.gpus > most:
        return f"the largest node has {most}"
    largest = max((offer.gpu_memory or 0) for offer in of_kind)
    if need.gpu_memory and largest and need.gpu_memory > largest:
        return f"the largest card has {size(largest)}"
    cpus = max(offer.cpus for offer in of_kind)
    if need.cpus > cpus:
        return f"the largest node has {cpus:g} CPUs"
    return "no node has all of it"


def _cards(used: Sequence[float], share: float) -> tuple[int, ...] | None:
    """The cards that hold a share: the fullest that has room for a part of one, free ones for whole ones."""
    if share == 0:
        return ()
    if share < 1:
        fitting = [card for card, taken in enumerate(used) if taken + share <= 1 + _SLACK]
        return (max(fitting, key=lambda card: (used[card], -card)),) if fitting else None
    free = [card for card, taken in enumerate(used) if taken < _SLACK]
    return tuple(free[: round(share)]) if len(free) >= round(share) else None


def _is_idle(used: _Used, cpus: float, gpus: float) -> bool:
    if not used.cards:
        return used.cpus <= cpus / 2
    return min(used.cards) < _SLACK and used.gpus + 1 <= gpus + _SLACK


def _held(need: Resources, share: float) -> Resources:
    return need if share == need.gpus else replace(need, gpus=share)


def _is_named(accelerator: str, name: str) -> bool:
    """`A100` names every A100; `A100-80G` that one alone."""
    given, asked = accelerator.upper(), name.upper()
    return given == asked or given.startswith(f"{asked}-")


def _allows(value: str | None, wanted: str) -> bool:
    """Ray's own selectors: `x`, `!x`, `in(x, y)`, `!in(x, y)`."""
    is_negated = wanted.startswith("!")
    plain = wanted.removeprefix("!")
    allowed = plain[3:-1].split(",") if plain.startswith("in(") and plain.endswith(")") else [plain]
    return (value in {one.strip() for one in allowed}) != is_negated
