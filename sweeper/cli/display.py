"""What a sweep shows while it runs: a live picture on a terminal, else one plain line for each start and end.

The loop drives it by plain calls. All goes to standard error, so that standard output stays the user's.
"""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Protocol, TextIO

from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from sweeper import text
from sweeper.cli.live import LiveDisplay
from sweeper.cli.progress import Progress
from sweeper.trial import Ended, Event, TrialSpec


class Display(Protocol):
    """Told by the loop what happens; never asks, never fails the sweep, costs next to nothing per call."""

    def opened(self, spec: TrialSpec) -> None:
        """A trial was placed."""

    def heard(self, spec: TrialSpec, event: Event) -> None:
        """A trial said something."""

    def told(self, spec: TrialSpec, ended: Ended) -> None:
        """A trial's end is on record."""

    def slots(self, total: int) -> None:
        """So many trials can run at once now."""

    def notice(self, text: str) -> None:
        """Something the user should know now; the empty text takes the last notice back."""

    def closed(self) -> None:
        """The sweep is over; more than one call does no harm."""

    def left(self) -> None:
        """Whoever looked on looks no more; the sweep goes on."""


def display_for(
    study: str, directions: Sequence[str], target: int | None, trials_before: Iterable[FrozenTrial] = ()
) -> Display:
    """The display that suits standard error.

    `directions`: minimize or maximize for each objective. `target`: the study's total of finished trials,
    None where other budgets end the sweep. `trials_before`: what the study has; finished trials count,
    and the best of them stands until it is beaten.
    """
    progress = Progress(study, directions, target, trials_before, time.monotonic())
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveDisplay(progress, console)
    return LineDisplay(progress, sys.stderr)


class LineDisplay:
    """A line per start, end and notice, each with its time in UTC."""

    def __init__(self, progress: Progress, stream: TextIO) -> None:
        self._progress = progress
        self._stream = stream
        self._is_closed = False

    def opened(self, spec: TrialSpec) -> None:
        self._progress.opened(spec, time.monotonic())
        attempt = f" (attempt {spec.attempt + 1})" if spec.attempt else ""
        self._write(f"{self._name(spec)} started{attempt} {text.assignments(spec.params)}".rstrip())

    def heard(self, spec: TrialSpec, event: Event) -> None:
        self._progress.heard(spec, event)

    def told(self, spec: TrialSpec, ended: Ended) -> None:
        self._progress.told(spec, ended, time.monotonic())
        words = [self._name(spec), ended.state.name.lower()]
        if ended.state is TrialState.FAIL:
            words.append(f"({failure(ended)})")
        else:
            words += [text.number(value) for value in ended.values or ()]
        words.append(f"after {text.duration(ended.runtime_s)}")
        self._write(f"{' '.join(words)}; {self._standing()}")

    def slots(self, total: int) -> None:
        if total != self._progress.slots:
            self._progress.slots = total
            self._write(f"{text.count(total, 'slot')}")

    def notice(self, text_: str) -> None:
        shown = text.printable(text_)
        if shown and shown != self._progress.notice:
            self._write(shown)
        self._progress.notice = shown

    def closed(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._write(f"sweep over; {self._standing()}")

    def left(self) -> None:
        self._is_closed = True

    def _standing(self) -> str:
        progress = self._progress
        total = f"{progress.done} of {progress.target}" if progress.target is not None else str(progress.done)
        best = progress.best[0] if len(progress.best) == 1 else None
        shown = f", best {text.number(best.value)} in trial {best.number}" if best else ""
        return f"{total} finished{shown}"

    def _name(self, spec: TrialSpec) -> str:
        return f"{text.printable(spec.study)}/{spec.number}"

    def _write(self, line: str) -> None:
        moment = datetime.datetime.now(datetime.UTC).strftime("%H:%M:%SZ")
        self._stream.write(f"{moment} {line}\n")
        self._stream.flush()


def failure(ended: Ended) -> str:
    """Why a trial failed: its kind, and the error's own line."""
    kind = ended.failure.value if ended.failure else "error"
    return f"{kind}: {text.printable(ended.error)}" if ended.error else kind
