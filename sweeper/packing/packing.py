"""What a trial with `gpus: auto` holds: a whole card as long as nothing is known, then the share that it will need.

The first trials have a card each, and others wait until they have shown what they need: cards that are given away whole
are lost to sharing until their trials end. Then twice as many come as are known, and show what they need before more
come: what is held for want of knowledge is lost as well. So a trial that turns out to be far from what it holds, soon
after its beginning, begins again: that costs a minute, and a share is given for the whole of a trial.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sweeper.packing.growth import Course, Growth, Params
from sweeper.trial import Ended, Failure, Metered, Resources, TrialSpec

if TYPE_CHECKING:  # statistics are loaded once they are needed
    from sweeper.packing.memory import MemoryModel

ALONE = 2  # trials that have a card each before anything is known
FIRST = 4  # trials that are known before a model tells of others
_PLENTY = 12  # trials that are known before as many come as find room
GUESS = 1.2  # times the largest that is known: what others are taken for until then
_PATIENCE_S = 150.0  # for trials to show what they need; others wait meanwhile
MARGIN = 1.002  # above what the model says: drivers give memory out in pages of 2 MiB
_ANEW_S = 300.0  # as long after its beginning a trial may be made to begin again
_TOO_LITTLE = 1.1  # times what it holds: its neighbours would run out of memory
_TOO_MUCH = 1.5  # times what it needs: more is lost to its share than a new beginning costs, if it has as long to go
_REFIT = 1.2  # the model is fitted anew when so many times as many trials are known,
_RELEARN = 1.7  # or so many times as many have ended, which tell how much others will grow
_ANOTHER = 1.01  # times what one run of a trial needs: what another run of it may
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
    _running: dict[int, Course] = field(default_factory=dict)
    _growth: Growth = field(default_factory=Growth)
    _model: MemoryModel | None = None
    _fitted: tuple[int, int] = (0, 0)  # trials that were known and that had ended when it was
    _alone: set[int] = field(default_factory=set)  # trials that ran out of memory next to others
    _anew: dict[int, Course] = field(default_factory=dict)  # those that begin again, with what they had shown

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
        if (held := self._needed(spec.number, spec.params, asked)) is not None:
            self._held[spec.number] = held
        return held

    def _needed(self, number: int, params: Params, asked: Resources) -> Resources | None:
        if number in self._alone:
            return replace(asked, gpus=1.0)
        shown = self._shown()
        self._silent -= shown.keys()
        known = len(self._peaks) + len(shown)
        if number not in self._anew and self._is_early(number, known):
            return None
        self._silent.add(number)
        if not known:
            return replace(asked, gpus=1.0)
        return replace(asked, gpus=0.0, gpu_memory=self._bound(number, params, shown))

    def _bound(self, number: int, params: Params, shown: Mapping[int, Course]) -> int:
        """Bytes. One that begins anew has shown what it needs, and the model was wrong about it.

        So where it had stopped growing it holds no more than that, and never less than it had. Where it was stopped
        for what it took it may have been growing still: it holds no less than it may need.
        """
        if (anew := self._anew.get(number)) is None:
            return self._foretold(params, shown)
        needs = int(self._growth.needs(anew) * _ANOTHER)
        if len(self._peaks) + len(shown) < _PLENTY:
            return needs
        foretold = self._foretold(params, shown)
        return max(anew.peak, min(foretold, needs)) if anew.is_steady else max(needs, foretold)

    def _foretold(self, params: Params, shown: Mapping[int, Course]) -> int:
        """Bytes. Few tell little of others: then no more than the largest of them, and somewhat above."""
        known = len(self._peaks) + len(shown)
        if known < FIRST:
            return self._most(shown)
        model = self._model_of(shown)
        bound = int(model.bound(params, self.card) * MARGIN)
        return bound if known >= _PLENTY and model.is_sure else min(self._most(shown), bound)

    def _most(self, shown: Mapping[int, Course]) -> int:
        return int(min(self.card, GUESS * max(self._peaks + self._needs(shown))))

    def _model_of(self, shown: Mapping[int, Course]) -> MemoryModel:
        """Of all that is known; those that have ended tell anew how much others will grow."""
        from sweeper.packing.memory import MemoryModel

        known, ended = now = len(self._peaks) + len(shown), len(self._peaks)
        before, ended_before = self._fitted
        has_learnt = self._growth.is_known and ended > ended_before * _RELEARN
        if self._model is None or known > before * _REFIT or has_learnt:
            params = self._params + [one.params for one in shown.values()]
            self._model = MemoryModel(params, self._peaks + self._needs(shown))
            self._fitted = now
        return self._model

    def _needs(self, shown: Mapping[int, Course]) -> list[int]:
        return [self._growth.needs(one) for one in shown.values()]

    def _is_early(self, number: int, known: int) -> bool:
        """Whether twice as many as are known are on their way already, and may show soon what they need."""
        now = self.clock()
        if self._news_at is None or known > self._most_known:
            self._most_known, self._news_at = known, now
        if number in self._silent or known >= _PLENTY or len(self._silent) < max(ALONE, 2 * known):
            return False
        if now - self._news_at < _PATIENCE_S:
            return True
        if known:  # else each has a card, and all may come
            self._silent.clear()
            self._news_at = now
        return False

    def heard(self, number: int, params: Params, event: Metered) -> None:
        """What a running trial has had at its peak so far."""
        if number in self._held and event.gpu_memory_basis == "processes":
            self._running.setdefault(number, Course(params)).see(float(event.step), event.peak_gpu_memory_bytes)

    def begins_anew(self, number: int) -> bool:
        """Whether a running trial had better be stopped and begin again, with what it has shown to need; said once.

        It may hold far more than that while others wait, or less, so that these would run out of memory.
        """
        one, held = self._running.get(number), self._held.get(number)
        if one is None or held is None or number in self._anew or number in self._alone or one.now_s > _ANEW_S:
            return False
        holds = self.card if held.gpus >= 1 else held.gpu_memory
        takes = self._growth.needs(one) if one.is_young else one.peak  # later some have grown already
        if takes > holds * _TOO_LITTLE or (one.is_steady and self._is_too_much(one, holds)):
            self._anew[number] = one
        return number in self._anew

    def _is_too_much(self, one: Course, holds: int) -> bool:
        if holds <= one.peak * _TOO_MUCH:  # most do not, and it takes less to say
            return False
        return holds > self._growth.needs(one) * _TOO_MUCH and self._is_waited_for()

    def _is_waited_for(self) -> bool:
        """Whether other trials that are packed wait for room."""
        return bool(self._asked.keys() - self._running.keys())

    def learn(self, number: int, params: Params, ended: Ended) -> None:
        """Take note of how a trial ended.

        What ran out of memory next to others says nothing: it is measured when it runs alone. Nor does what was added
        on a card that others use.
        """
        course = self._running.pop(number, None)
        self._asked.pop(number, None)
        if ended.failure != Failure.PREEMPTED:
            self._anew.pop(number, None)
        self._silent.discard(number)  # one that failed has shown nothing: another takes its turn
        held = self._held.get(number)
        if held is None:
            return
        if self.is_crowded_out(number, ended):
            self._alone.add(number)
        elif ended.failure == Failure.OOM:
            self.add(params, int(self.card * _TOO_LARGE))
        elif ended.values is not None and ended.peak_gpu_memory_bytes:
            if course is not None and course.peak:
                self._growth.learn(course, ended.peak_gpu_memory_bytes)
            if ended.gpu_memory_basis == "processes" or held.gpus >= 1:
                self.add(params, ended.peak_gpu_memory_bytes)

    def is_crowded_out(self, number: int, ended: Ended) -> bool:
        """Whether it ran out of memory next to others: it is then tried again alone, and is no infeasible point."""
        held = self._held.get(number)
        return ended.failure == Failure.OOM and held is not None and held.gpus < 1

    def add(self, params: Params, peak: int) -> None:
        """Take note of what a trial needed, in bytes; one of an earlier launch counts as well."""
        if peak:
            self._params.append(dict(params))
            self._peaks.append(peak)

    def _shown(self) -> Mapping[int, Course]:
        """By number, trials that have not ended and have shown what they need."""
        if len(self._peaks) >= _PLENTY and not self._growth.is_known:
            return {}  # what an earlier launch measured tells more than what is guessed
        return self._anew | {number: one for number, one in self._running.items() if one.is_steady}
