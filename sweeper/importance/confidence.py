"""How far to believe the shares: what the forest explains of trials it has not seen."""

from __future__ import annotations

import numpy as np

from sweeper.importance.forest import Forest


def r_squared(forest: Forest) -> float | None:
    """Out-of-bag R²: the share of the variance that trees explain in trials they have not seen.

    Below 0 the forest predicts worse than the mean does. None with fewer than two such trials, or equal ones.
    """
    known = ~np.isnan(forest.unseen)
    if known.sum() < 2:
        return None
    y = forest.y[known]
    total = float(np.sum((y - y.mean()) ** 2))
    return 1 - float(np.sum((y - forest.unseen[known]) ** 2)) / total if total > 0 else None
