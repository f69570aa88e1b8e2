"""A sweep on cards in virtual time: trials as training on a GPU behaves, placed by `Room`, held by whatever is told.

A trial takes its memory with its first steps, or some of it at its first validation. What passes a card's memory ends
the trial that grew, as CUDA does.
"""

from __future__ import annotations

import contextlib
import csv
import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from optuna.trial import TrialState

from sweeper.launch.line import MOST_AHEAD, may_go_past
from sweeper.launch.room import Offer, Place, Room
from sweeper.packing import Packing
from sweeper.packing.memory import bound
from sweeper.trial import Ended, Failure, Metered, Resources, TrialSpec

GIB = 1 << 30
AUTO = Resources(cpus=0.0, gpus=1.0, is_packed=True)
SPEC = TrialSpec("", 0, "", 0, {}, (), {}, b"", b"", "", None)
_STEPS_AT_S = 10.0  # a trial's first
_VALIDATES_AT = 0.15  # of the time
_LOOK_EVERY_S = 20.0


@dataclass(frozen=True)
class Job:
    params: dict[str, object]
    peak: int
    duration_s: float
    at_once: float = 1.0  # of the peak, with the first steps


@dataclass
class Outcome:
    makespan_s: float = 0.0
    oom: int = 0  # ends for want of memory next to others
    anew: int = 0  # trials that were stopped to begin again with another share
    runs: int = 0
    infeasible: int = 0


def network(rng: np.random.Generator, n: int, noise: float = 0.02) -> list[Job]:
    """Trials of a network whose width, depth and batch size are swept, with two optimizers."""
    jobs = []
    while len(jobs) < n:
        width = int(2 ** rng.uniform(8, 11))
        depth, batch = int(rng.integers(2, 13)), int(2 ** rng.uniform(5, 8))
        optimizer = str(rng.choice(["sgd", "adam"]))
        weights = 4 * depth * width**2 * (2 if optimizer == "sgd" else 4)
        activations = 4 * batch * depth * width * 4000
        peak = (1.2 * GIB + weights + activations) * np.exp(rng.normal(0, noise))
        if peak > 60 * GIB:
            continue  # no card holds it
        params = {"width": width, "depth": depth, "batch": batch, "optimizer": optimizer, "lr": float(rng.uniform())}
        jobs.append(Job(params, int(peak) >> 21 << 21, float(rng.uniform(300, 900))))
    return jobs


def transformer(rng: np.random.Generator, n: int, noise: float = 0.02) -> list[Job]:
    """Trials of a language model: its size, the length and number of its sequences, and a precision.

    Bytes of activations by Korthikanti et al., Reducing Activation Recomputation in Large Transformer Models, 2022
    (eq. 2 and the output layer); 16 bytes a weight with Adam by Rajbhandari et al., ZeRO, 2020.
    """
    vocabulary = 32_000
    jobs = []
    while len(jobs) < n:
        layers, heads = int(rng.integers(2, 25)), int(2 ** rng.uniform(2, 5))
        length, batch = int(rng.choice([256, 512, 1024, 2048])), int(2 ** rng.uniform(1, 6))
        precision = str(rng.choice(["float32", "bfloat16"]))
        hidden, element = 64 * heads, 4 if precision == "float32" else 2
        weights = 12 * layers * hidden**2 + vocabulary * hidden
        a_token = layers * (hidden * (16 * element + 2) + heads * length * (2 * element + 1)) + 4 * vocabulary
        peak = (0.6 * GIB + 16 * weights + batch * length * a_token) * np.exp(rng.normal(0, noise))
        if peak > 60 * GIB:
            continue  # no card holds it
        params = {"layers": layers, "hidden": hidden, "length": length, "batch": batch, "precision": precision}
        params["lr"] = float(10 ** rng.uniform(-5, -3))
        jobs.append(Job(params, int(peak) >> 21 << 21, float(rng.uniform(300, 900))))
    return jobs


def mlp(rng: np.random.Generator, n: int) -> list[Job]:
    """Trainings of perceptrons, their peaks as they were measured (recorded/README.md): 1.4 to 4.8 GiB."""
    return _recorded("mlp", rng, n)


def cnn(rng: np.random.Generator, n: int) -> list[Job]:
    """The same of convolutional networks of seven architectures: 1.4 to 39 GiB."""
    return _recorded("cnn", rng, n)


def _recorded(name: str, rng: np.random.Generator, n: int) -> list[Job]:
    """So many of them, drawn without putting back, with a learning rate that does not matter; how long is drawn."""
    with (Path(__file__).parent / "recorded" / f"{name}.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = []
    for place in rng.permutation(len(rows))[:n]:
        params: dict[str, object] = {key: _value(text) for key, text in rows[place].items()}
        peak = int(rows[place]["peak_mib"]) << 20
        del params["peak_mib"]
        found.append(Job(params | {"lr": float(rng.uniform())}, peak, float(rng.uniform(300, 900))))
    return found


def growing(jobs: Sequence[Job], later: float) -> list[Job]:
    """The same, of whose peaks such a part comes at their first validation."""
    return [replace(job, at_once=1 - later) for job in jobs]


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


@dataclass
class _Running:
    number: int
    job: Job
    need: Resources
    places: tuple[Place, ...]
    memory: int
    card: tuple[str, int] | None
    began: float = 0.0


@dataclass
class World:
    """Cards, and trials in line for them."""

    offers: Sequence[Offer]
    jobs: Sequence[Job]
    need: Callable[[int, Job], Resources | None]
    ended: Callable[[_Running, Ended], bool]  # whether the trial is to be tried again
    heard: Callable[[int, Job, int, float], bool] = lambda *_: False  # whether the trial is to begin again
    ahead: int = MOST_AHEAD
    now: float = 0.0
    _latest: Resources | None = None
    outcome: Outcome = field(default_factory=Outcome)

    def run(self) -> Outcome:
        room = Room()
        room.see(self.offers)
        later = list(range(len(self.jobs)))
        line: list[int] = []
        events: list[tuple[float, int, str, int]] = [(_LOOK_EVERY_S, 0, "looks", -1)]
        running: dict[int, _Running] = {}
        now, ticket = 0.0, 0
        while later or line or running:
            for key, one in list(running.items()):
                if self.heard(one.number, one.job, one.memory, now - one.began):
                    self._end(running.pop(key), room, line, Failure.PREEMPTED)
            for one in self._begun(room, line, later, now):
                ticket += 1
                running[ticket] = one
                whole_s = one.job.duration_s
                for after_s, what in ((_STEPS_AT_S, "starts"), (_VALIDATES_AT * whole_s, "grows"), (whole_s, "ends")):
                    heapq.heappush(events, (now + after_s, ticket, what, one.number))
            now, key, what, _ = heapq.heappop(events)
            self.now = now
            if what == "looks":
                heapq.heappush(events, (now + _LOOK_EVERY_S, 0, "looks", -1))
            if (one := running.get(key)) is None:
                continue
            if what == "ends":
                self._end(running.pop(key), room, line, None)
                continue
            one.memory = int(one.job.peak * (one.job.at_once if what == "starts" else 1.0))
            total = next(offer.gpu_memory for offer in self.offers if offer.node == one.places[0].node) or 0
            if sum(other.memory for other in running.values() if other.card == one.card) > total:
                self._end(running.pop(key), room, line, Failure.OOM)
        self.outcome.makespan_s = now
        return self.outcome

    def _begun(self, room: Room, line: list[int], later: list[int], now: float) -> Iterator[_Running]:
        """As the launcher's line does it: trials are asked for while there is room for more."""
        while True:
            needs = [self.need(number, self.jobs[number]) for number in line]
            found, left = room.placed(needs)
            self._latest = needs[max(found)] if found else self._latest
            numbers = list(line)
            for place, places in found.items():
                number, held = numbers[place], places[0].need
                line.remove(number)
                self.outcome.runs += 1
                card = (places[0].node, places[0].cards[0])
                yield _Running(number, self.jobs[number], held, places, 0, card, now)
            if not later or (line and not (len(line) < self.ahead and may_go_past(left, self._latest))):
                return
            line.append(later.pop(0))

    def _end(self, one: _Running, room: Room, line: list[int], failure: Failure | None) -> None:
        room.give(one.places)
        state = TrialState.FAIL if failure else TrialState.COMPLETE
        peak = None if failure else one.job.peak
        end = Ended(
            "",
            0,
            0.0,
            state,
            None if failure else (1.0,),
            failure,
            runtime_s=one.job.duration_s,
            peak_gpu_memory_bytes=peak,
            gpu_memory_basis="processes",
        )
        self.outcome.oom += failure == Failure.OOM and one.need.gpus < 1
        self.outcome.anew += failure == Failure.PREEMPTED
        if self.ended(one, end):
            line.insert(0, one.number)
        elif failure:
            self.outcome.infeasible += 1


def packed(offers: Sequence[Offer], jobs: Sequence[Job]) -> Outcome:
    """As `gpus: auto` does it."""
    packing = Packing(max(offer.gpu_memory or 0 for offer in offers), lambda: world.now)

    def need(number: int, job: Job) -> Resources | None:
        spec = replace(SPEC, number=number, params=job.params)
        packing.need(number, AUTO)
        return packing.renewed(spec)

    def ended(one: _Running, end: Ended) -> bool:
        packing.learn(one.number, one.job.params, end)
        return end.failure == Failure.PREEMPTED or packing.is_crowded_out(one.number, end)

    def heard(number: int, job: Job, memory: int, seconds: float) -> bool:
        event = Metered("", 0, 0.0, int(seconds), {}, memory, "processes", 0.0, None)
        packing.heard(number, job.params, event)
        return packing.begins_anew(number)

    world = World(offers, jobs, need, ended, heard)
    return world.run()


def offline(offers: Sequence[Offer], jobs: Sequence[Job]) -> Outcome:
    """With every peak known beforehand."""

    def need(_: int, job: Job) -> Resources:
        return Resources(cpus=0.0, gpus=0.0, gpu_memory=job.peak, is_packed=True)

    return World(offers, jobs, need, lambda *_: False).run()


def foretold(
    offers: Sequence[Offer], jobs: Sequence[Job], error: float, width: float, rng: np.random.Generator
) -> Outcome:
    """With every peak foretold from the beginning, but for an error of its logarithm, which is known and normal.

    What a model could reach that is wrong by so much, and holds so many errors more than is expected.
    """
    card = max(offer.gpu_memory or 0 for offer in offers)
    expected = [float(np.log(job.peak) + rng.normal(0.0, error)) for job in jobs]
    alone = set[int]()

    def need(number: int, _: Job) -> Resources:
        bytes_ = bound(expected[number], width * error, card)
        return AUTO if number in alone or bytes_ >= card else replace(AUTO, gpus=0.0, gpu_memory=bytes_)

    def ended(one: _Running, end: Ended) -> bool:
        alone.add(one.number)
        return end.failure == Failure.OOM

    return World(offers, jobs, need, ended).run()


def foreseen(offers: Sequence[Offer], jobs: Sequence[Job]) -> Outcome:
    """With every peak known, and all trials in line from the beginning, those first that take most of memory and time.

    No launcher can do that: trials are chosen by what others came to. It is what a packing could reach at best.
    """
    by_size = sorted(jobs, key=lambda job: -job.peak * job.duration_s)

    def need(_: int, job: Job) -> Resources:
        return Resources(cpus=0.0, gpus=0.0, gpu_memory=job.peak, is_packed=True)

    return World(offers, by_size, need, lambda *_: False, ahead=40).run()


def one_each(offers: Sequence[Offer], jobs: Sequence[Job]) -> Outcome:
    """A card for each trial."""
    return World(offers, jobs, lambda *_: AUTO, lambda *_: False).run()
