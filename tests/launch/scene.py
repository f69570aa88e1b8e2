"""Scenes on clusters run in a process of their own: what Ray reads from the environment is theirs alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def play(module: str, *words: str) -> dict[str, Any]:
    """What `python -m MODULE WORDS FOLDER` prints last: one line of JSON."""
    with tempfile.TemporaryDirectory(prefix="n") as folder:  # a short path: Ray puts sockets there
        done = subprocess.run(
            [sys.executable, "-m", module, *words, folder],
            cwd=Path(__file__).parents[2],
            env=os.environ | {"RAY_TMPDIR": folder},
            capture_output=True,
            text=True,
            check=False,
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines, done.stderr
    found: dict[str, Any] = json.loads(lines[-1])
    return found
