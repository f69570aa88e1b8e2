"""A cluster on which sweeps run trials under virtual time: nothing but the book decides who may hold what."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from sweeper.launch.room import Offer
from sweeper.share.book import Book
from sweeper.share.claim import NOTHING, Applicant, Claim, Grant, Terms
from sweeper.share.level import Want, fair
from sweeper.trial import Resources

TICK_S = 1.0
START_S = 5.0  # for a slot to import the app


def node(name: str, gpus: int = 8, cpus: float = 64, accelerator: str = "H100") -> Offer:
    return Offer(name, name, cpus=cpus, gpus=gpus, accelerator=accelerator, gpu_memory=80 << 30)


@dataclass(eq=False)
class Slot:
    node: str
    serial: int
    began: float = 0.0
    is_going: bool = False  # it is being preempted


@dataclass
class Sweep:
    """A sweep whose trials take as long as `length` says, in seconds."""

    name: str
    length: Callable[[np.random.Generator], float]
    terms: Terms = field(default_factory=Terms)
    unit: Resources = field(default_factory=lambda: Resources(gpus=1))
    trials: int = 10**9
    joins_s: float = 0.0
    leaves_s: float = float("inf")
    slots: list[Slot] = field(default_factory=list)
    grant: Grant = field(default_factory=Grant)
    finished: int = 0
    preempted: int = 0
    moves: int = 0  # slots made
    took_s: float = 0.0

    def claim(self) -> Claim:
        held = Counter(slot.node for slot in self.slots)
        return Claim(
            Applicant(self.name, self.name, "u", "h", self.terms),
            unit=self.unit,
            held={name: (count * self.unit.cpus, count * self.unit.gpus) for name, count in held.items()},
            running=len(self.slots),
            wanted=self.trials - self.finished,
            pace_s=self.took_s / self.finished if self.finished else 0.0,
            used_s=self.grant.used_s,
            balance_s=self.grant.balance_s,
        )

    def held_on(self, node: str) -> int:
        return sum(slot.node == node for slot in self.slots)

    def may_hold(self, node: str) -> int:
        cpus, gpus = self.grant.allowed.get(node, NOTHING)
        return int(gpus / self.unit.gpus + 1e-6) if self.unit.gpus else int(cpus / self.unit.cpus + 1e-6)


@dataclass
class World:
    """What happened is in `held`: for each second, what each sweep held, and what would have been fair."""

    nodes: list[Offer]
    sweeps: Sequence[Sweep]
    seed: int = 0
    at: dict[float, Callable[[World], None]] = field(default_factory=dict)  # what happens when
    book: Book = field(default_factory=Book)
    now: float = 0.0
    held: list[dict[str, float]] = field(default_factory=list)
    due: list[dict[str, float]] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)  # cards that nobody had though somebody could have used them
    _ends: list[tuple[float, int, Sweep, Slot]] = field(default_factory=list)
    _serial: itertools.count[int] = field(default_factory=itertools.count)

    def run(self, seconds: float) -> World:
        self.random = np.random.default_rng(self.seed)
        while self.now < seconds:
            for moment in [moment for moment in self.at if moment <= self.now]:
                self.at.pop(moment)(self)
            self._end_trials()
            self._heed(self._live())
            self._note(self._live())
            self.now += TICK_S
        return self

    def lose(self, name: str) -> None:
        self.nodes = [one for one in self.nodes if one.node != name]
        for sweep in self.sweeps:
            sweep.slots = [slot for slot in sweep.slots if slot.node != name]

    def _live(self) -> list[Sweep]:
        return [
            sweep
            for sweep in self.sweeps
            if sweep.joins_s <= self.now < sweep.leaves_s and sweep.trials > sweep.finished
        ]

    def _end_trials(self) -> None:
        for sweep in self.sweeps:
            if self.now >= sweep.leaves_s or sweep.finished >= sweep.trials:
                sweep.slots = []
                self.book.leave(sweep.name)
        while self._ends and self._ends[0][0] <= self.now:
            end, _, sweep, slot = heapq.heappop(self._ends)
            if slot not in sweep.slots:
                continue
            if slot.is_going:
                sweep.preempted += 1
                sweep.slots.remove(slot)
                continue
            sweep.finished += 1
            sweep.took_s += end - slot.began
            if sweep.held_on(slot.node) > sweep.may_hold(slot.node) or sweep.trials - sweep.finished < len(sweep.slots):
                sweep.slots.remove(slot)
            else:
                self._begin(sweep, slot, end)

    def _begin(self, sweep: Sweep, slot: Slot, at: float) -> None:
        slot.began = at
        heapq.heappush(self._ends, (at + sweep.length(self.random), next(self._serial), sweep, slot))

    def _heed(self, live: Sequence[Sweep]) -> None:
        for sweep in live:
            self.book.report(sweep.claim(), self.now)
        self.book.settle(self.nodes, {}, self.now)
        for sweep in live:
            sweep.grant = self.book.grant(sweep.name)
            for name, most in sweep.grant.most.items():
                self._preempt(sweep, name, sweep.held_on(name) - round(most / (sweep.unit.gpus or sweep.unit.cpus)))
            for one in self.nodes:
                while (
                    sweep.held_on(one.node) < sweep.may_hold(one.node)
                    and len(sweep.slots) < sweep.trials - sweep.finished
                ):
                    slot = Slot(one.node, next(self._serial))
                    sweep.slots.append(slot)
                    sweep.moves += 1
                    self._begin(sweep, slot, self.now + START_S)

    def _preempt(self, sweep: Sweep, name: str, count: int) -> None:
        here = sorted((slot for slot in sweep.slots if slot.node == name), key=lambda slot: -slot.began)
        going = sum(slot.is_going for slot in here)
        for slot in [slot for slot in here if not slot.is_going][: max(0, count - going)]:
            slot.is_going = True
            heapq.heappush(self._ends, (self.now + 3.0, next(self._serial), sweep, slot))

    def _note(self, live: Sequence[Sweep]) -> None:
        cards = {one.node: one.gpus for one in self.nodes}
        wants = [
            Want(
                sweep.terms.weight,
                min(sweep.terms.most or 1e9, (sweep.trials - sweep.finished) * sweep.unit.gpus),
                frozenset(one.node for one in self.nodes if one.suits(sweep.unit)),
                sweep.terms.least,
                sweep.terms.priority,
            )
            for sweep in live
        ]
        self.due.append(dict(zip((sweep.name for sweep in live), fair(wants, cards), strict=True)))
        self.held.append({sweep.name: len(sweep.slots) * sweep.unit.gpus for sweep in live})
        free = sum(cards.values()) - sum(self.held[-1].values())
        unmet = any(want.most > had for want, had in zip(wants, self.held[-1].values(), strict=True))
        self.idle.append(free if unmet else 0.0)

    def shares(
        self, names: Sequence[str], begin_s: float = 0.0, end_s: float = float("inf")
    ) -> dict[str, tuple[float, float]]:
        """GPU-seconds of each, held and due, over the seconds in which all of them were there."""
        rows = [
            (held, due)
            for second, (held, due) in enumerate(zip(self.held, self.due, strict=True))
            if begin_s <= second < end_s and all(name in held for name in names)
        ]
        return {name: (sum(held[name] for held, _ in rows), sum(due[name] for _, due in rows)) for name in names}


def worst(shares: dict[str, tuple[float, float]]) -> float:
    """By how much of all that was due anybody's share was missed, at most."""
    return max(abs(held - due) / due for held, due in shares.values())
