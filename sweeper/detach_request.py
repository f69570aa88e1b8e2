"""What `sweeper launch --detach` hands to the process of the app, by its environment, as plans are."""

from __future__ import annotations

import os

VARIABLE = "SWEEPER_DETACH"


def variables() -> dict[str, str]:
    return {VARIABLE: "1"}


def taken() -> bool:
    """Whether this process was asked to send its launch to the cluster; once."""
    return os.environ.pop(VARIABLE, None) is not None
