"""What the tasks of a driver's loop wait for: stacks of threads say only that the loop has nothing to do."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from typing import Any

SIGNAL = signal.SIGUSR1  # at which they are shown, on standard error


def shown_when_asked() -> None:
    """From now on, in the main thread of this process."""
    signal.signal(SIGNAL, lambda *_: _show())


def _show() -> None:
    try:
        found = asyncio.all_tasks()
    except RuntimeError:
        print("no loop runs", file=sys.stderr, flush=True)
        return
    for task in found:
        print(f"{task.get_name()}, to be cancelled {task.cancelling()} times:", file=sys.stderr)
        for frame in _frames(task.get_coro()):
            print(f"  {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}", file=sys.stderr)
    sys.stderr.flush()


def _frames(waiting: Any) -> Iterator[Any]:
    """From the outermost coroutine to what it waits for in the end, as far as Python tells."""
    while waiting is not None:
        kind = next((kind for kind in ("cr", "ag", "gi") if hasattr(waiting, f"{kind}_frame")), None)
        if kind is None:
            return
        if (frame := getattr(waiting, f"{kind}_frame")) is not None:
            yield frame
        waiting = getattr(waiting, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")
