"""Every way in which a task can end, as tables: what it does, and what must be on record of it."""

from __future__ import annotations

import dataclasses
import functools
import pickle
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from sweeper.trial import Failure, Limits, TrialSpec
from tests.spec import spec_for

_ONE = "it must return one number, the objective"


@dataclass(frozen=True)
class End:
    """A task of tests/run/apps.py, by name, and its end."""

    task: str
    failure: Failure | None
    error: str | None  # a regular expression that matches all of it
    changes: dict[str, Any] = field(default_factory=dict)  # to its spec
    state: TrialState = TrialState.FAIL
    traceback: str | None = None  # part of it
    log: str | None = None  # part of it

    def spec(self, folder: Path, number: int) -> TrialSpec:
        config = pickle.loads(_composed(folder).base)
        config.end, config.signal = self.task, str(folder / f"signal-{number}")
        config.hydra.job.num = number
        spec = dataclasses.replace(
            _composed(folder),
            number=number,
            run=uuid.uuid4().hex,
            base=pickle.dumps(config),
            folder=str(folder / str(number)),
        )
        return dataclasses.replace(spec, **self.changes)


@functools.cache
def _composed(folder: Path) -> TrialSpec:
    return spec_for(folder, {"end": "raises", "signal": "signal"})


def _invalid(task: str, what: str, wanted: str = _ONE, **changes: object) -> End:
    return End(task, Failure.INVALID_VALUE, f"{what}; {wanted}", changes)


OF_ANY_TASK = [
    End("raises", Failure.ERROR, "ValueError: learning rate too high", traceback="in raises"),
    End("raises_a_base_exception", Failure.ERROR, "Abort: no more", traceback="in raises_a_base_exception"),
    End(
        "raises_without_text", Failure.ERROR, r"Mute: \(its text cannot be had: RuntimeError\)", traceback="in raises_w"
    ),
    End("raises_what_cannot_be_pickled", Failure.ERROR, r"RuntimeError: \(<unlocked .*", traceback="in raises_what"),
    End("recurses", Failure.ERROR, "RecursionError: maximum recursion depth exceeded.*", traceback="in recurses"),
    End("exits", Failure.ERROR, r"the task called sys.exit\(3\); return the objective instead"),
    End("exits_well", Failure.ERROR, r"the task called sys.exit\(0\); return the objective instead"),
    End("interrupts", Failure.STOPPED, "KeyboardInterrupt"),
    _invalid("returns_nothing", "the task returned None"),
    _invalid("returns_nan", "the task returned NaN"),
    _invalid("returns_a_string", "the task returned str '3.5'"),
    _invalid("returns_a_complex_number", "the task returned complex 1j"),
    _invalid("returns_a_huge_integer", "the task returned an integer too large for a float"),
    _invalid("returns_what_cannot_be_pickled", "the task returned function <function .*"),
    _invalid("returns_what_cannot_be_read", r"the task returned Hostile .*, which cannot be read \(OSError: gone\)"),
    _invalid(
        "returns_two", "the task returned 2 values", "it must return 3 numbers, one for each direction", directions=3
    ),
    _invalid(
        "returns_a_mapping",
        "the returned mapping lacks ms",
        "it must return a mapping with a finite number for each of: acc, ms",
        directions=2,
        metric_names=("acc", "ms"),
    ),
    End("returns_infinity", None, None, state=TrialState.COMPLETE),
    End("returns_minus_infinity", None, None, state=TrialState.COMPLETE),
    End("runs_out_of_memory", Failure.OOM, "MemoryError: no room for 12 GiB", traceback="in runs_out_of_memory"),
    End(
        "runs_out_of_cuda_memory",
        Failure.OOM,
        "OutOfMemoryError: CUDA out of memory. Tried .*",
        traceback="in runs_out",
    ),
    End("wraps_out_of_memory", Failure.OOM, "RuntimeError: the step failed", traceback="direct cause"),
    End("prunes", None, None, state=TrialState.PRUNED),
    End("closes_its_output", None, None, state=TrialState.COMPLETE),
    End("sleeps", Failure.TIMEOUT, "ran longer than hydra.sweeper.trial.timeout, 0.4 s", {"limits": Limits(0.4)}),
    End(
        "sleeps",
        Failure.TIMEOUT,
        "hung: logged, reported and printed nothing for 0.4 s, hydra.sweeper.trial.silence",
        {"limits": Limits(silence_s=0.4)},
    ),
    End("prints_for_a_second", None, None, {"limits": Limits(silence_s=0.5)}, TrialState.COMPLETE, log="print 9"),
]

OF_A_PROCESS = [
    End("vanishes", Failure.CRASHED, "the process ended with status 7 before the task returned"),
    End("vanishes_well", Failure.CRASHED, "the process ended with status 0 before the task returned"),
    End("segfaults", Failure.CRASHED, r"the process died of signal 11 \(SIGSEGV\)", traceback="in segfaults"),
    End("aborts", Failure.CRASHED, r"the process died of signal 6 \(SIGABRT\)", traceback="in aborts"),
    End("is_terminated", Failure.CRASHED, r"the process died of signal 15 \(SIGTERM\)", traceback="in is_terminated"),
    End("is_killed", Failure.CRASHED, r"killed by somebody \(SIGKILL\); it was not the kernel, memory had not run out"),
    End(
        "ignores_being_told",
        Failure.TIMEOUT,
        "ran longer than .*timeout, 0.4 s",
        {"limits": Limits(timeout_s=0.4, grace_s=0.2)},
        log="told to end",
    ),
    End(
        "sleeps",
        Failure.TIMEOUT,
        "ran longer than .*timeout, 0.4 s",
        {"limits": Limits(timeout_s=0.4)},
        traceback="in sleeps",
    ),
    End(
        "raises_when_told",
        Failure.TIMEOUT,
        "ran longer than .*timeout, 0.4 s",
        {"limits": Limits(timeout_s=0.4)},
        traceback="SystemExit",
    ),
    End("returns_when_told", None, None, {"limits": Limits(timeout_s=0.4)}, TrialState.COMPLETE),
    End(
        "leaves_a_thread",
        None,
        None,
        {"limits": Limits(grace_s=0.2)},
        TrialState.COMPLETE,
        log="sweeper: the task had returned, but its threads or exit handlers did not end: killed",
    ),
    End(
        "hangs_at_exit",
        None,
        None,
        {"limits": Limits(grace_s=0.2)},
        TrialState.COMPLETE,
        log="sweeper: the task had returned, but its threads or exit handlers did not end: killed",
    ),
    End("saves_in_a_thread", None, None, state=TrialState.COMPLETE, log="saved"),
    End("closes_every_file", None, None, state=TrialState.COMPLETE),
    End("replaces_its_signals", None, None, state=TrialState.COMPLETE),
]
