"""What `sweeper plan` hands to the process of the app: by its environment, so that the command is the launch's own."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass

VARIABLE = "SWEEPER_PLAN"


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """How a launch is to be planned instead."""

    is_json: bool = False
    has_canary: bool = False  # one trial is run first, on record as a study of its own

    def variables(self) -> dict[str, str]:
        return {VARIABLE: json.dumps(dataclasses.asdict(self))}


def taken() -> PlanRequest | None:
    """The request that this process was started with, once: a canary is no plan."""
    text = os.environ.pop(VARIABLE, None)
    return None if text is None else PlanRequest(**json.loads(text))
