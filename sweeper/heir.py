"""A driver that takes the place of one that was killed, started by whoever watched over it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from sweeper.errors import LaunchError

HEIR = "SWEEPER_HEIR"  # in its environment
_LOOK_S = 0.5
_FURTHER_S = 15.0  # for a database that answers late


def succeeding(begin: Callable[[], None], lease_s: float) -> None:
    """Begin a sweep: an heir waits until the lease of the dead is over, as it may have died on another machine."""
    until = time.monotonic() + (lease_s + _FURTHER_S if os.environ.get(HEIR) else 0.0)
    while True:
        try:
            return begin()
        except LaunchError:
            if time.monotonic() > until:
                raise
        time.sleep(_LOOK_S)  # a lease ends in silence
