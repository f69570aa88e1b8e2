"""An app whose import is broken off by SIGKILL the first times: of the process that imports it, or of the one above."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from sweeper.run.process import MARKER

if MARKER in os.environ and "FRAGILE" in os.environ:
    _imports = Path(os.environ["FRAGILE"])
    with _imports.open("a") as file:
        file.write(".")
    if len(_imports.read_text()) <= int(os.environ["FRAGILE_TIMES"]):
        os.kill(os.getppid() if os.environ["FRAGILE_WHO"] == "above" else os.getpid(), signal.SIGKILL)
        signal.pause()  # nothing goes on behind it


def returns_nothing(_: object) -> float:
    raise AssertionError
