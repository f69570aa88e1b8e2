"""What running a run again has shown: one of five words, the step where the curves part, and why.

identical                          every point of every metric, every value and every artifact, bit by bit
within tolerance                   no point farther away than the tolerance allows
within the study's seed noise      the end lies where other seeds of the same params lie as well
diverged at step k                 farther away than that, from step k on
not comparable                     there is nothing, or nothing alike, to compare
"""

from __future__ import annotations

import enum
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Points = Mapping[int, float]  # step -> value

_ENOUGH = 3  # replicates for a standard deviation to speak of
_Z = 1.96  # 95 of 100 differences between two runs that differ by their seed alone are smaller than 1.96·√2·sd


class Word(enum.StrEnum):
    """The verdict in a word."""

    IDENTICAL = "identical"
    TOLERANCE = "within tolerance"
    NOISE = "within the study's seed noise"
    DIVERGED = "diverged"
    INCOMPARABLE = "not comparable"


@dataclass(frozen=True, slots=True)
class Result:
    """What a run gave."""

    state: str
    values: Sequence[float]  # of the objectives; empty where it has none
    metrics: Mapping[str, Points]
    artifacts: Mapping[str, str] = field(default_factory=dict)  # name -> sha256, of what training made


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a run compares with the one that it repeats."""

    word: Word
    step: int | None = None  # where the curves part, bit by bit
    metric: str | None = None  # which of them parts first
    largest: float | None = None  # relative difference of two points
    reasons: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()  # fields of environment and config that differ

    def __str__(self) -> str:
        if self.word is Word.DIVERGED and self.step is not None:
            return f"diverged at step {self.step}"
        return self.word.value

    @property
    def holds(self) -> bool:
        """Whether the recorded numbers were given again, as far as they can be."""
        return self.word in {Word.IDENTICAL, Word.TOLERANCE, Word.NOISE}


def judge(
    old: Result, new: Result, tolerance: float, replicates: Sequence[float] = (), differing: Sequence[str] = ()
) -> Verdict:
    """Compare a run with its repetition.

    `tolerance` is the largest relative difference of two points that passes; `replicates` are the values of trials with
    the same params and other seeds.
    """
    fields = tuple(differing)
    if problem := _incomparable(old, new):
        return Verdict(Word.INCOMPARABLE, reasons=(problem,), differing=fields)
    parting = _parting(old.metrics, new.metrics)
    step, metric = parting or (None, None)
    largest = _largest(old, new)
    artifacts = _artifacts(old.artifacts, new.artifacts)
    values_differ = not all(map(_same, old.values, new.values))
    reasons = (*(["the value differs"] if values_differ and parting is None else []), *artifacts)
    if parting is None and not reasons:
        return Verdict(Word.IDENTICAL, differing=fields)
    if largest <= tolerance:
        word = Word.TOLERANCE
    elif _is_noise(old.values, new.values, replicates):
        word = Word.NOISE
    else:
        word = Word.DIVERGED
    return Verdict(word, step, metric, largest, reasons, fields)


def _incomparable(old: Result, new: Result) -> str | None:
    if old.state != new.state:
        return f"the recorded run is {old.state}, its repetition {new.state}"
    if not old.metrics and not old.values:
        return "the recorded run has neither metrics nor a value"
    if len(old.values) != len(new.values):
        return f"the recorded run has {len(old.values)} values, its repetition {len(new.values)}"
    if old.metrics and not old.metrics.keys() & new.metrics.keys():
        return f"no metric is in both: {', '.join(sorted(old.metrics))} and {', '.join(sorted(new.metrics)) or 'none'}"
    return None


def _parting(old: Mapping[str, Points], new: Mapping[str, Points]) -> tuple[int, str] | None:
    """The first step at which a point differs or is missing, and its metric."""
    found = []
    for name in old.keys() | new.keys():
        ours, theirs = old.get(name, {}), new.get(name, {})
        steps = [
            step
            for step in ours.keys() | theirs.keys()
            if step not in ours or step not in theirs or not _same(ours[step], theirs[step])
        ]
        if steps:
            found.append((min(steps), name))
    return min(found, default=None)


def _largest(old: Result, new: Result) -> float:
    """The largest relative difference of two points or values; infinite where one of the two is missing."""
    pairs = list(zip(old.values, new.values, strict=True))
    for name in old.metrics.keys() | new.metrics.keys():
        ours, theirs = old.metrics.get(name, {}), new.metrics.get(name, {})
        if ours.keys() != theirs.keys():
            return math.inf
        pairs += [(ours[step], theirs[step]) for step in ours]
    return max((_difference(a, b) for a, b in pairs), default=0.0)


def _difference(a: float, b: float) -> float:
    if _same(a, b):
        return 0.0
    if not (math.isfinite(a) and math.isfinite(b)):
        return math.inf
    return abs(a - b) / max(abs(a), abs(b))


def _same(a: float, b: float) -> bool:
    return a == b or (a != a and b != b)


def _artifacts(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    missing = [f"{name} is missing" for name in sorted(old.keys() - new.keys())]
    return missing + [f"{name} has another content" for name in sorted(old) if name in new and old[name] != new[name]]


def _is_noise(old: Sequence[float], new: Sequence[float], replicates: Sequence[float]) -> bool:
    known = [value for value in replicates if math.isfinite(value)]
    if len(known) < _ENOUGH or len(old) != 1:
        return False
    return abs(old[0] - new[0]) <= _Z * math.sqrt(2) * statistics.stdev(known)
