"""Which parameters mattered: functional ANOVA of a random forest, from finished trials to shares."""

from __future__ import annotations

from sweeper.importance.result import Importance, evaluate

__all__ = ["Importance", "evaluate"]
