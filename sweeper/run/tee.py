"""Copies what a process prints into a file, for runs in the process that the user started."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


class _Tee(io.TextIOBase):
    """Writes to the terminal, where a debugger may be talking, and to the trial's log."""

    def __init__(self, terminal: TextIO, log: TextIO) -> None:
        self._terminal = terminal
        self._log = log

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):  # a full disk, or a run that is over: the terminal shows it
            self._log.write(text)
        return self._terminal.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._log.flush()
        self._terminal.flush()

    def close(self) -> None:
        """Both are others' to close; Python closes what nobody has any more."""

    def isatty(self) -> bool:
        return self._terminal.isatty()

    def fileno(self) -> int:
        return self._terminal.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._terminal.encoding


@contextlib.contextmanager
def copied_to(path: Path) -> Iterator[None]:
    """Meanwhile, what goes to the terminal goes to the file at `path` too, where there can be one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)
    except OSError:
        yield
        return
    with file as log:
        out, err = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = _Tee(out, log), _Tee(err, log)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = out, err
