"""The search space for the next sweep, as Hydra override expressions: frozen, widened, narrowed as the trials
say.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
from optuna.study import StudyDirection

from sweeper.importance.advice import GOOD, Advice, Move, advise, best_trials
from sweeper.importance.confidence import BELIEVABLE
from sweeper.importance.factor import Factor
from sweeper.importance.forest import Forest
from sweeper.importance.result import Importance
from sweeper.importance.scale import Choices, Floats, Interval, Ints, Levels

MARGIN = 0.1  # of that span, left free on both sides
CHANCE = 0.05  # probability from which a choice that no good trial has may just have been unlucky
REACH = 0.5  # of the range, by which it grows beyond a crowded edge

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_/.-]*")
_RESERVED = frozenset({"null", "true", "false", "inf", "nan"})


@dataclass(frozen=True)
class NextSpace:
    """Override expressions: `params` by parameter, `when` by the choice ("model=cnn") in which they are
    active.
    """

    params: Mapping[str, str]
    when: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def next_space(importance: Importance, direction: StudyDirection, *, seed: int = 0) -> NextSpace:
    """A space for the next sweep. Without a forest worth believing, ranges stay as they are."""
    fixed = {name: text(value) for name, value in importance.constants.items()}
    forest = importance.forest
    if forest is None:
        return NextSpace(fixed, notes=("nothing was learnt: only what was constant is known",))
    believable = importance.r2 is not None and importance.r2 >= BELIEVABLE
    good = best_trials(forest, direction, GOOD if believable else 1.0)
    advice = {piece.parameter: piece for piece in advise(importance, direction, seed=seed)}
    params, when, notes = fixed, dict[str, dict[str, str]](), list[str]()
    if not believable:
        notes.append("ranges are as they were: the forest explains too little to narrow them")
    for factor in forest.factors:
        if not factor.is_parameter:
            continue
        expression = _expression(factor, good, advice.get(factor.name))
        branches = _branches(factor, forest, good)
        if branches is None:
            params[factor.name] = expression
        elif not branches:
            notes.append(f"{factor.name} is left out: it was not active in every trial, and no choice says when")
        for branch in branches or ():
            when.setdefault(branch, {})[factor.name] = expression
    return NextSpace(params, when, tuple(notes))


def _branches(factor: Factor, forest: Forest, good: Ints) -> list[str] | None:
    """The choices of another parameter that make this one active; None if it always is, empty if none does."""
    active = ~np.isnan(factor.positions)
    if active.all():
        return None
    for parent in forest.factors:
        scale = parent.scale
        if parent is factor or not isinstance(scale, Choices) or np.isnan(parent.positions).any():
            continue
        taken = set(parent.positions[active].astype(int).tolist())
        if taken.isdisjoint(parent.positions[~active].astype(int).tolist()):
            kept = taken & set(parent.positions[good].astype(int).tolist())
            return [f"{parent.name}={text(scale.values[i])}" for i in sorted(kept or taken)]
    return []


def _expression(factor: Factor, good: Ints, advice: Advice | None) -> str:
    if advice and advice.move == Move.FREEZE:
        return text(advice.value)
    positions = factor.positions[good]
    positions = positions[~np.isnan(positions)]
    if not len(positions):
        positions = factor.positions[~np.isnan(factor.positions)]
    scale = factor.scale
    if isinstance(scale, Choices):
        return _choice([scale.values[i] for i in _kept(factor, positions)])
    numbers = np.asarray(scale.values_at(positions), dtype=np.float64)
    low, high = _span(scale, float(numbers.min()), float(numbers.max()), advice.move if advice else None)
    if isinstance(scale, Levels):
        return _of_levels(scale, low, high)
    low, high = (math.floor(low), math.ceil(high)) if scale.is_whole else _rounded(scale, low, high)
    return text(low) if low == high else _interval(low, high, scale)


def _kept(factor: Factor, good: Floats) -> list[int]:
    """The choices that good trials have, and those that they may lack by chance (hypergeometric)."""
    active = factor.positions[~np.isnan(factor.positions)]
    total, drawn = len(active), len(good)
    kept = set(good.astype(int).tolist())
    for choice in range(int(factor.scale.size)):
        others = total - int(np.count_nonzero(active == choice))
        if math.comb(others, drawn) >= CHANCE * math.comb(total, drawn):
            kept.add(choice)
    return sorted(kept)


def _span(scale: Interval | Levels, low: float, high: float, move: Move | None) -> tuple[float, float]:
    """The range from low to high with a margin, within the scale; or beyond the edge that the trials crowd."""
    start, stop = _ends(scale)
    forward, back = (math.log, math.exp) if scale.is_log else (float, float)
    margin = MARGIN * (forward(high) - forward(low))
    reach = REACH * (forward(stop) - forward(start))
    lowest = back(forward(start) - reach) if move == Move.EXTEND_DOWN else start
    highest = back(forward(stop) + reach) if move == Move.EXTEND_UP else stop
    if start >= 0:
        lowest = max(lowest, 0.0)
        if stop <= 1 and not scale.is_log and not isinstance(start, int):  # a share, a probability, a momentum
            highest = min(highest, 1.0)
    left = lowest if move == Move.EXTEND_DOWN else max(start, back(forward(low) - margin))
    right = highest if move == Move.EXTEND_UP else min(stop, back(forward(high) + margin))
    return left, right


def _ends(scale: Interval | Levels) -> tuple[int | float, int | float]:
    return (scale.low, scale.high) if isinstance(scale, Interval) else (scale.values[0], scale.values[-1])


def _rounded(scale: Interval, low: float, high: float) -> tuple[float, float]:
    """Two digits, outwards, but not beyond an end of the scale that the range has not left."""
    units = (low, high) if scale.is_log else (high - low, high - low)
    down, up = (10.0 ** (math.floor(math.log10(unit)) - 1) if unit > 0 else 1.0 for unit in units)
    left = float(f"{math.floor(low / down + 1e-9) * down:.12g}")
    right = float(f"{math.ceil(high / up - 1e-9) * up:.12g}")
    return left if low < scale.low else max(left, scale.low), right if high > scale.high else min(right, scale.high)


def _of_levels(scale: Levels, low: float, high: float) -> str:
    """Integers and steps as such, also beyond the levels there were; the points of a grid as choices."""
    first, steps = Decimal(str(scale.values[0])), np.diff(np.asarray(scale.values, dtype=np.float64))
    is_even = np.allclose(steps, steps[0], rtol=1e-9)
    if not is_even:
        return _choice([value for value in scale.values if low * (1 - 1e-12) <= value <= high * (1 + 1e-12)])
    step = Decimal(str(scale.values[1])) - first
    start = first + step * math.floor((low - float(first)) / float(step) + 1e-9)
    stop = first + step * math.ceil((high - float(first)) / float(step) - 1e-9)
    if start == stop:
        return str(start)
    is_whole = isinstance(scale.values[0], int)
    if is_whole and step == 1:
        return _interval(int(start), int(stop), scale)
    return f"range({start}, {stop + step}, {step})"


def _interval(low: float, high: float, scale: Interval | Levels) -> str:
    body = f"interval({text(low)}, {text(high)})"
    if isinstance(low, int):
        body = f"int({body})"
    return f"tag(log, {body})" if scale.is_log else body


def _choice(values: Sequence[object]) -> str:
    return text(values[0]) if len(values) == 1 else f"choice({', '.join(map(text, values))})"


def text(value: object) -> str:
    """A value in Hydra's override grammar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    word = str(value)
    if _BARE.fullmatch(word) and word.lower() not in _RESERVED:
        return word
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", word)
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    return f"'{escaped}{chr(92) * trailing}'"
