"""Scenes on clusters run in a process of their own: what Ray reads from the environment is theirs alone."""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

_PATIENCE_S = 180.0  # with a scene; pytest's own is 300 s, and shows nothing of another process


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


async def within_patience(scene: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    """What the scene saw; one that hangs ends with the line that it hangs at, and what else was awaited."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await scene
    except TimeoutError:
        for task in asyncio.all_tasks():
            task.print_stack(file=sys.stderr)
        raise


def end_where_stuck() -> None:
    """For a scene that keeps its own event loop, or has none: where it hangs, it ends with every thread's stack."""
    faulthandler.dump_traceback_later(_PATIENCE_S + 90, exit=True)
