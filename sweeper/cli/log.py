"""The end of a trial's log, read without reading the rest."""

from __future__ import annotations

import os
from pathlib import Path

_TAIL_BYTES = 64 * 1024  # a single line of a hundred megabytes must not fill the memory


def tail(path: Path, n_lines: int) -> list[str] | None:
    """The last `n_lines` lines of a text file; None where it cannot be read."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            start = file.seek(max(end - _TAIL_BYTES, 0))
            text = file.read(_TAIL_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    lines = text.splitlines()
    if start > 0 and len(lines) > 1:
        lines = lines[1:]  # begun before what was read
    return lines[-n_lines:]
