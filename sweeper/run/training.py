"""What training code may call. Each function works unchanged where no sweep is running.

`log` never raises into training code and never waits for anything but one small write to the run's journal.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from sweeper.errors import ArtifactError

if TYPE_CHECKING:  # a training script without a sweep pays for none of these
    from sweeper.provenance.artifact import Kept
    from sweeper.trial import Used

_REFUSALS_SHOWN = 5  # per run; further ones are only counted


class Run(Protocol):
    """The run that this process is; `sweeper.run.execute` puts it in place around the user's task."""

    folder: Path

    @property
    def trial_folder(self) -> Path: ...
    def measured(self, step: int, metrics: Mapping[str, float]) -> None: ...
    def reported(self, step: int, value: float) -> None: ...
    def tested(self, step: int | None, metrics: Mapping[str, float]) -> None: ...
    def saved(self, path: Path, kind: str | None, name: str | None) -> list[Kept]: ...
    def used(self, place: str, name: str) -> Used: ...
    def should_prune(self) -> bool: ...
    def interrupt(self, interruption: Callable[[], None]) -> None:
        """Do what raises in the task: at once, or when the event that is being written stands whole."""


P = TypeVar("P", str, os.PathLike[str])

_current: Run | None = None
_next_step: dict[str, int] = {}
_refused = 0


def enter(run: Run | None) -> None:
    """Make `run` the one that the functions below speak for; None once it has ended."""
    global _current, _refused
    _current = run
    _refused = 0
    _next_step.clear()


def current() -> Run | None:
    """The run that this process is, if any."""
    return _current


def log(metrics: Mapping[str, float], step: int | None = None) -> None:
    """Record metrics of one step, e.g. `sweeper.log({"loss": 0.3, "acc": 0.9}, step=epoch)`.

    Without a step, each metric counts its own from 0. The same name and step again replaces the earlier value. What
    cannot be kept (a value that is no number, a step that is no integer) is said on standard error, never raised.
    """
    if _current is None:
        return
    kept = {name: float(x) for name, x in metrics.items() if _is_number(name, x)}
    if step is None:
        for name, value in kept.items():
            _next_step[name] = _next_step.get(name, -1) + 1
            _guarded_measured(_next_step[name], {name: value})
    elif _is_step(step) and kept:
        _guarded_measured(int(step), kept)


def log_test(metrics: Mapping[str, float], step: int | None = None) -> None:
    """Record metrics on data that no choice may rest on, e.g. `sweeper.log_test({"accuracy": 0.93})` once at the end.

    They stand apart from the metrics of `log`: nothing is pruned, ranked or explained by them. Each call is one look at
    the test data, and looks are counted. Never raises.
    """
    kept = {name: float(x) for name, x in metrics.items() if _is_number(name, x)}
    if _current is None or not kept or not (step is None or _is_step(step)):
        return
    try:
        _current.tested(None if step is None else int(step), kept)
    except OSError as error:
        _refuse(f"sweeper.log_test: {error}")


def save_artifact(path: str | os.PathLike[str], kind: str | None = None, name: str | None = None) -> None:
    """Keep a file or folder of this run, e.g. `sweeper.save_artifact("model.pt")`; found again by `sweeper get`.

    Hashing and copying happen here, in the trial's process, at the speed of the disk; the same bytes are stored once.
    `kind` (model, figure, table, …) is told from the ending where it is not given, `name` from the path. Never raises:
    what cannot be kept is said on standard error and on record.
    """
    if _current is None:
        return
    try:
        for kept in _current.saved(Path(path), kind, name):
            if kept.error is not None:
                _refuse(f"sweeper.save_artifact: {kept.name} is not kept: {kept.error}")
    except (OSError, ArtifactError, TypeError) as error:
        _refuse(f"sweeper.save_artifact: {error}")


def use_data(path_or_url: P, name: str | None = None) -> P:
    """Put on record which data this run reads, by its sha256, and return the path or URL as it was given.

    `train = load(sweeper.use_data("data/train.csv"))`. A folder is known by a manifest of its files. What has been
    hashed once is not read again while size and times stay. Never raises: what cannot be read is on record as such.
    """
    if _current is not None:
        try:
            place = os.fspath(path_or_url)
            used = _current.used(place, name or place.rstrip("/").rpartition("/")[2] or place)
            if used.error is not None:
                _refuse(f"sweeper.use_data: {used.error}")
        except (OSError, TypeError) as error:
            _refuse(f"sweeper.use_data: {error}")
    return path_or_url


def report(value: float, step: int) -> None:
    """Report the objective at `step` (an integer from 0) to the pruner; ask `should_prune()` afterwards."""
    if _current is not None and _is_number("report", value) and _is_step(step):
        try:
            _current.reported(int(step), float(value))
        except OSError as error:
            _refuse(f"sweeper.report: {error}")


def should_prune() -> bool:
    """Whether the pruner gives this trial up, judged by its last report. False where no sweep is running.

    When True, `raise optuna.TrialPruned`.
    """
    return _current is not None and _current.should_prune()


def checkpoint_dir() -> Path:
    """A folder that the next attempt of the same trial finds again, with what this one left in it."""
    base = _current.trial_folder if _current is not None else Path.cwd()
    folder = base / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _guarded_measured(step: int, metrics: Mapping[str, float]) -> None:
    try:
        if _current is not None:
            _current.measured(step, metrics)
    except OSError as error:
        _refuse(f"sweeper.log: {error}")


def _is_number(name: object, value: object) -> bool:
    if type(value) is float and type(name) is str and 0 < len(name) <= 512:
        return True  # nearly always: the checks below take a third of a call
    if not isinstance(name, str) or not name or len(name) > 512:
        _refuse(f"sweeper.log: a metric's name must be text of 1 to 512 characters, got {name!r:.80}")
        return False
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            float(value)
        except OverflowError:
            _refuse(f"sweeper.log: {name} is an integer too large for a float")
            return False
        return True
    _refuse(f"sweeper.log: {name} must be a number, got {value!r:.80}")
    return False


def _is_step(step: object) -> bool:
    index = getattr(step, "__index__", None)
    if index is None or isinstance(step, bool) or not -(2**63) <= index() < 2**63:
        _refuse(f"sweeper: a step must be an integer of 64 bits, got {step!r:.80}")
        return False
    return True


def _refuse(text: str) -> None:
    global _refused
    _refused += 1
    if _refused > _REFUSALS_SHOWN + 1:
        return
    if _refused > _REFUSALS_SHOWN:
        text = "sweeper: further points that cannot be kept are counted, not shown"
    with contextlib.suppress(OSError, ValueError, AttributeError):  # standard error may be closed, full or None
        print(text, file=sys.stderr)
