"""The live picture of a sweep, drawn by rich's timer thread from what the loop has told by then."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator

from optuna.trial import TrialState
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweeper import text
from sweeper.cli.progress import Progress, Running
from sweeper.trial import Ended, Event, TrialSpec

_REFRESHES_PER_S = 4
_MOST_RUNNING = 10  # lines
_FEWEST_RUNNING = 2
_OTHER_LINES = 11  # what the picture needs besides, failures aside
_LOW_TERMINAL = 20  # lines below which one failure is shown and not all that are kept
_LONGEST_ERROR = 200  # characters
_STYLES = {TrialState.COMPLETE: "green", TrialState.PRUNED: "yellow", TrialState.FAIL: "red"}


class LiveDisplay:
    """Redraws itself in place on a terminal; a call from the loop only takes a note."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self._progress = progress
        self._console = console
        self._lock = threading.Lock()
        self._live = Live(
            console=console,
            get_renderable=self._picture,
            refresh_per_second=_REFRESHES_PER_S,
            transient=True,
            # What the task prints belongs above the picture; into a file or pipe it must go as it is.
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=True,
            vertical_overflow="crop",
        )
        self._live.start()

    def opened(self, spec: TrialSpec) -> None:
        with self._lock:
            self._progress.opened(spec, time.monotonic())

    def heard(self, spec: TrialSpec, event: Event) -> None:
        with self._lock:
            self._progress.heard(spec, event)

    def told(self, spec: TrialSpec, ended: Ended) -> None:
        with self._lock:
            self._progress.told(spec, ended, time.monotonic())

    def slots(self, total: int) -> None:
        with self._lock:
            self._progress.slots = total

    def notice(self, text_: str) -> None:
        with self._lock:
            self._progress.notice = text.printable(text_)

    def closed(self) -> None:
        self._live.stop()

    def left(self) -> None:
        self._live.stop()

    def _picture(self) -> RenderableType:
        with self._lock:
            return picture(self._progress, time.monotonic(), self._console.height)


def picture(progress: Progress, now: float, height: int) -> RenderableType:
    """The whole picture, at most `height` lines high where that leaves room for what matters."""
    failures = list(_failures(progress))[-1 if height < _LOW_TERMINAL else 0 :]
    most = max(min(_MOST_RUNNING, height - _OTHER_LINES - len(failures)), _FEWEST_RUNNING)
    parts: list[RenderableType] = [_heading(progress, now), _facts(progress)]
    if progress.running:
        parts += [Text(), _running_table(progress, now, most)]
    if failures:
        parts += [Text(), *failures]
    if progress.notice:
        parts += [Text(), Text(progress.notice, style="bold yellow", no_wrap=True, overflow="ellipsis")]
    return Group(*parts)


def _heading(progress: Progress, now: float) -> RenderableType:
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(no_wrap=True, overflow="ellipsis", max_width=30)
    grid.add_column(ratio=1)
    grid.add_column(no_wrap=True, justify="right")
    grid.add_column(no_wrap=True, justify="right")
    passed = text.duration(now - progress.started)
    left = progress.left_s(now)
    times = f"{passed}, about {text.duration(left)} left" if left else passed
    name = Text(text.printable(progress.study), style="bold")
    if progress.target is None:
        grid.add_row(name, Text(), text.count(progress.done, "trial"), times)
    else:
        bar = ProgressBar(total=max(progress.target, 1), completed=progress.done)
        grid.add_row(name, bar, f"{progress.done}/{progress.target}", times)
    return grid


def _facts(progress: Progress) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("trials", _counts(progress))
    best = Text(" · ").join(_best(progress))
    if best.plain:
        grid.add_row("best", best)
    if progress.slots is not None:
        grid.add_row("slots", f"{len(progress.running)} of {progress.slots} busy")
    return grid


def _counts(progress: Progress) -> Text:
    parts = [
        Text(f"{progress.counts[state]} {state.name.lower()}", style=style)
        for state, style in _STYLES.items()
        if progress.counts[state]
    ]
    if len(progress.failures) > 1:
        kinds = ", ".join(f"{count} {kind}" for kind, count in progress.failures.most_common())
        parts[-1].append(f" ({kinds})")
    if progress.running:
        parts.append(Text(f"{len(progress.running)} running", style="cyan"))
    if progress.finished_before:
        parts.append(Text(f"{progress.finished_before} before this launch", style="dim"))
    return Text(", ").join(parts) if parts else Text("none yet")


def _best(progress: Progress) -> Iterator[Text]:
    for name, best in zip(progress.objectives, progress.best, strict=False):
        if best is not None:
            yield Text.assemble(
                f"{text.printable(name)} ", (text.number(best.value), "bold"), f" in trial {best.number}"
            )


def _running_table(progress: Progress, now: float, most: int) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("running", no_wrap=True)
    table.add_column("for", justify="right", no_wrap=True)
    table.add_column("step", justify="right", no_wrap=True)
    table.add_column("last", no_wrap=True, overflow="ellipsis")
    # The longest running first: they are the ones to worry about, and the list does not jump.
    shown = list(progress.running.values())
    hidden = max(len(shown) - most, 0)
    for running in shown[: most - 1] if hidden else shown:
        step = "" if running.step is None else str(running.step)
        table.add_row(
            f"trial {running.spec.number}",
            text.duration(now - running.since),
            step,
            _said(running, progress.objectives[0]),
        )
    if hidden:
        table.add_row(Text(f"and {len(shown) - most + 1} more", style="dim"))
    return table


def _said(running: Running, objective: str) -> str:
    """The last metrics of a trial, the objective first unless it was logged as well; its parameters until then."""
    metrics = dict(running.metrics)
    if running.reported is not None and running.reported not in metrics.values():
        metrics = {objective: running.reported, **metrics}
    if not metrics:
        return text.assignments(running.spec.params)
    return "  ".join(f"{text.printable(name)} {text.number(value, 4)}" for name, value in metrics.items())


def _failures(progress: Progress) -> Iterator[Text]:
    for number, ended in progress.recent_failures:
        kind = ended.failure.value if ended.failure else "error"
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f"trial {number} {kind}", style="red")
        if ended.error:
            line.append(f"  {text.printable(ended.error[:_LONGEST_ERROR])}")
        yield line
