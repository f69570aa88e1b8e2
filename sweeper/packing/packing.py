"""What a trial with `gpus: auto` holds: a whole card as long as nothing is known, then the share that it will need.

The first trials have a card each, and others wait until they have shown what they need: cards that are given away whole
are lost to sharing until their trials end. Then as many come as are known, and show what they need before twice as many
come: what is held for want of knowledge is lost as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sweeper.trial import Ended, Failure, Metered, Resources, TrialSpec

if TYPE_CHECKING:  # statistics are loaded once they are needed
    from sweeper.packing.memory import MemoryModel

Params = Mapping[str, object]

ALONE = 2  # trials that have a card each before anything is known
FIRST = 4  # trials that are known before a model tells of others
_PLENTY = 12  # trials that are known before as many come as find room
GUESS = 1.2  # times the largest that is known: what others are taken for until then
_PATIENCE_S = 150.0  # for trials to show what they need; others wait meanwhile
MARGIN = 1.002  # above what the model says: drivers give memory out in pages of 2 MiB
_SETTLED = 0.25  # of the time of the longest trial: what a running one has by then is taken for its peak
_SETTLED_S = 60.0  # the same as long as none has ended, where it has not grown for half of that time
_GROWTH = 1.25  # of what such a one has by then, for its first validation
_FEW = 4 * FIRST  # as long as so few have ended, running ones count as well
_REFIT = 1.2  # the model is fitted anew when so many times as many trials are known
_TOO_LARGE = 1.2  # how many cards a trial is thought to need that ran out of memory alone


@dataclass
class Packing:
    """One sweep's knowledge of what its trials need. Told of trials that are not packed, it says nothing of them."""

    card: int = 0  # bytes of the largest card
    clock: Callable[[], float] = time.monotonic
    _silent: set[int] = field(default_factory=set)  # trials that were told what to hold and have shown nothing yet
    _most_known: int = 0
    _news_at: float | None = None  # by the clock, when more were known than before; at first when one was to be placed
    _asked: dict[int, Resources] = field(default_factory=dict)  # by the config of each trial that is packed
    _held: dict[int, Resources] = field(default_factory=dict)  # what each was told to hold, last
    _params: list[Params] = field(default_factory=list)
    _peaks: list[int] = field(default_factory=list)
    _running: dict[int, _Running] = field(default_factory=dict)
    _longest_s: float = 0.0
    _model: MemoryModel | None = None
    _fitted: int = 0
    _alone: set[int] = field(default_factory=set)  # trials that ran out of memory next to others

    def need(self, number: int, asked: Resources) -> Resources:
        """What a trial is to hold: what it asks for, or if it is packed a card of its own until `renewed` says less."""
        if not asked.is_packed:
            return asked
        self._asked[number] = asked
        held = self._held[number] = replace(asked, gpus=1.0)
        return held

    def renewed(self, spec: TrialSpec) -> Resources | None:
        """What a trial that waits is to hold by what is known now; None: it is better to wait for that."""
        if (asked := self._asked.get(spec.number)) is None:
            return spec.resources or Resources()
        if (held := self._foretold(spec.number, spec.params, asked)) is not None:
            self._held[spec.number] = held
        return held

    def _foretold(self, number: int, params: Params, asked: Resources) -> Resources | None:
        if number in self._alone:
            return replace(asked, gpus=1.0)
        settled = self._settled()
        self._silent -= settled.keys()
        known = [*zip(self._params, self._peaks, strict=True), *settled.values()]
        if self._is_early(number, len(known)):
            return None
        self._silent.add(number)
        if len(known) >= FIRST:
            return replace(asked, gpus=0.0, gpu_memory=int(self._fit(known).bound(params, self.card) * MARGIN))
        if known:
            return replace(asked, gpus=0.0, gpu_memory=int(min(self.card, GUESS * max(peak for _, peak in known))))
        return replace(asked, gpus=1.0)

    def _is_early(self, number: int, known: int) -> bool:
        """Whether as many as are known are on their way already, and may show soon what they need."""
        now = self.clock()
        if self._news_at is None or known > self._most_known:
            self._most_known, self._news_at = known, now
        if number in self._silent or now - self._news_at >= _PATIENCE_S:
            return False
        return known < _PLENTY and len(self._silent) >= max(ALONE, known)

    def heard(self, number: int, params: Params, event: Metered) -> None:
        """What a running trial has had at its peak so far."""
        if number in self._held and event.gpu_memory_basis == "processes":
            before, peak, now_s = self._running.get(number), event.peak_gpu_memory_bytes, float(event.step)
            grew_s = now_s if before is None or peak > before.peak else before.grew_s
            self._running[number] = _Running(params, peak, now_s, grew_s)

    def learn(self, number: int, params: Params, ended: Ended) -> None:
        """Take note of how a trial ended.

        What ran out of memory next to others says nothing: it is measured when it runs alone. Nor does what was added
        on a card that others use.
        """
        self._running.pop(number, None)
        self._silent.discard(number)  # one that failed has shown nothing: another takes its turn
        held = self._held.get(number)
        if held is None:
            return
        if self.is_crowded_out(number, ended):
            self._alone.add(number)
        elif ended.failure == Failure.OOM:
            self._add(params, int(self.card * _TOO_LARGE))
        elif ended.values is not None and ended.peak_gpu_memory_bytes:
            self._longest_s = max(self._longest_s, ended.runtime_s)
            if ended.gpu_memory_basis == "processes" or held.gpus >= 1:
                self._add(params, ended.peak_gpu_memory_bytes)

    def is_crowded_out(self, number: int, ended: Ended) -> bool:
        """Whether it ran out of memory next to others: it is then tried again alone, and is no infeasible point."""
        held = self._held.get(number)
        return ended.failure == Failure.OOM and held is not None and held.gpus < 1

    def _fit(self, known: list[tuple[Params, int]]) -> MemoryModel:
        from sweeper.packing.memory import MemoryModel

        if self._model is None or len(known) >= self._fitted * _REFIT:
            self._model = MemoryModel([params for params, _ in known], [peak for _, peak in known])
            self._fitted = len(known)
        return self._model

    def _add(self, params: Params, peak: int) -> None:
        if peak:
            self._params.append(dict(params))
            self._peaks.append(peak)

    def _settled(self) -> dict[int, tuple[Params, int]]:
        """By number: running trials that have gone on long enough; only as long as few have ended."""
        if len(self._peaks) > _FEW:
            return {}
        running = [(number, one) for number, one in self._running.items() if one.peak]
        if self._longest_s:
            return {n: (one.params, one.peak) for n, one in running if one.now_s >= _SETTLED * self._longest_s}
        steady = [(n, one) for n, one in running if one.now_s >= max(_SETTLED_S, 2 * one.grew_s)]
        return {n: (one.params, int(one.peak * _GROWTH)) for n, one in steady}


@dataclass(frozen=True, slots=True)
class _Running:
    """What is known of a trial that runs."""

    params: Params
    peak: int  # bytes so far
    now_s: float  # since it began
    grew_s: float  # when its peak was seen to be more than before
