"""The memory of who had more or less than was fair: what a long trial has delayed is made up for later.

Only what one sweep had at the cost of another is remembered: nobody owes for GPUs that nobody else wanted, and nobody
is owed those that he was slow to take.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_FORGOTTEN_S = 4 * 3600.0  # after so long a third of it is left
_HORIZON_S = 180.0  # in which it is made up for, or in half the time of a trial where that is longer
_MOST_LESS = 0.5  # of the fair share


@dataclass
class Account:
    """Of one sweep: amounts of what is shared, times seconds."""

    used_s: float = 0.0
    balance_s: float = 0.0  # what it has had less than was fair

    def inherit(self, other: Account) -> None:
        """Go on with what another one had, or lacked."""
        self.used_s += other.used_s
        self.balance_s += other.balance_s

    def goal(self, fair: float, slot: float, pace_s: float) -> float:
        """What it should hold now to have had its fair share before long; one slot at least comes in reach."""
        more = self.balance_s / max(_HORIZON_S, pace_s / 2)
        return fair + min(max(fair, slot), max(-_MOST_LESS * fair, more))


def passed(seconds: float, accounts: Sequence[Account], held: Sequence[float], fair: Sequence[float]) -> None:
    """Each has held so much for a while when so much was fair."""
    over = sum(max(0.0, had - due) for had, due in zip(held, fair, strict=True))
    under = sum(max(0.0, due - had) for had, due in zip(held, fair, strict=True))
    moved = min(over, under)
    kept = math.exp(-seconds / _FORGOTTEN_S)
    for account, had, due in zip(accounts, held, fair, strict=True):
        account.used_s += had * seconds
        side = over if had > due else under
        less = (due - had) * moved / side if side > 0 else 0.0
        account.balance_s = account.balance_s * kept + less * seconds
