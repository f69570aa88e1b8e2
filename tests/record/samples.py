"""Specs, sweeps and events for tests of the record."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Sequence
from typing import Any

from optuna.trial import TrialState

from sweeper.record import Sweep
from sweeper.record.process import boot, identity
from sweeper.trial import Ended, Event, Measured, Metered, Reported, Started, TrialSpec

NO_PROCESS = f"{boot()}:{identity().split(':')[1]}:0:0"  # the identity of a driver of this machine that is gone


def make_spec(**changes: Any) -> TrialSpec:
    values: dict[str, Any] = {
        "study": "digits",
        "number": 0,
        "run": "a" * 32,
        "attempt": 0,
        "params": {"lr": 0.1},
        "overrides": ("lr=0.1",),
        "config": {"lr": 0.1},
        "base": b"",
        "payload": b"",
        "folder": "/tmp/digits/0",
        "seed": 7,
    }
    return TrialSpec(**values | changes)


def make_sweep(**changes: Any) -> Sweep:
    values: dict[str, Any] = {
        "sweep": "s" * 32,
        "study": "digits",
        "command": "train.py -m",
        "settings": "{}",
        "space": "{}",
        "sampler": "TPESampler",
        "pruner": "NopPruner",
        "user": "ada",
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "process": identity(),
        "folder": "/tmp/digits",
        "cwd": "/tmp",
        "n_trials": 100,
        "started_at": time.time(),
    }
    return Sweep(**values | changes)


LIFE: Sequence[Event] = (
    Started("a" * 32, 0, 10.0, "node", 99),
    Measured("a" * 32, 1, 11.0, 0, {"loss": 0.5, "acc": math.nan}),
    Reported("a" * 32, 2, 12.0, 0, math.inf),
    Measured("a" * 32, 3, 13.0, 0, {"loss": 0.4}),
    Measured("a" * 32, 4, 14.0, 2**40, {"loss": 0.3}),
    Metered("a" * 32, 0, 14.5, 4, {"system/gpu_utilization": 0.5}, 2**30, "processes", 2.0, None),
    Ended("a" * 32, 5, 15.0, TrialState.COMPLETE, (0.3,), runtime_s=5.0, peak_rss_bytes=2**33, metrics={"f1": 1.0}),
)
