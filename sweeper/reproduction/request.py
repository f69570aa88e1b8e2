"""What `sweeper reproduce` hands to the process that runs the rebuilt code: by its environment, never by a file."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass

VARIABLE = "SWEEPER_REPRODUCE"


@dataclass(frozen=True, slots=True)
class Request:
    """Which run to run again, from which code, and how strictly to judge."""

    storage: str  # URL, its password included: this travels in an environment variable
    storage_as_given: str  # what commands may leave out where it is the default
    artifacts: str
    run: str
    code: str  # the folder of the rebuilt code
    folder: str  # for the run's output
    tolerance: float
    is_json: bool  # print the verdict as JSON

    def variables(self) -> dict[str, str]:
        return {VARIABLE: json.dumps(dataclasses.asdict(self))}


def taken() -> Request | None:
    """The request that this process was started with, once: a process of its own is not to obey it again."""
    text = os.environ.pop(VARIABLE, None)
    return None if text is None else Request(**json.loads(text))
