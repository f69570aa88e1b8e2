"""Which parameters mattered: functional ANOVA of a random forest, from finished trials to shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.importance.advice import Advice, Move, advise
from sweeper.importance.confidence import BELIEVABLE
from sweeper.importance.marginal import Axis, Curve, Map, curve, joint
from sweeper.importance.next_space import NextSpace, next_space
from sweeper.importance.ped_anova import ped_anova
from sweeper.importance.result import Importance, affordable_pairs, evaluate

if TYPE_CHECKING:
    from sweeper.importance.evaluator import FanovaEvaluator

__all__ = [
    "BELIEVABLE",
    "Advice",
    "Axis",
    "Curve",
    "FanovaEvaluator",
    "Importance",
    "Map",
    "Move",
    "NextSpace",
    "advise",
    "affordable_pairs",
    "curve",
    "evaluate",
    "joint",
    "next_space",
    "ped_anova",
]


def __getattr__(name: str) -> object:
    """`FanovaEvaluator` on demand: its base class loads scikit-learn, which nothing else here does at import."""
    if name == "FanovaEvaluator":
        from sweeper.importance.evaluator import FanovaEvaluator

        return FanovaEvaluator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
