"""What a launch knows of its trials' memory before the first of them runs."""

from __future__ import annotations

import json

from optuna.trial import TrialState

from sweeper.history import History
from sweeper.recall import Params, peaks
from tests.history.conftest import written
from tests.history.database import Written, add

__all__ = ["written"]

GIB = 1 << 30
CODE = "c" * 64


def overrides(params: Params) -> tuple[str, ...]:
    return ("width=512", f"optimizer.lr={params['optimizer.lr']}")


def ran(written: Written, number: int, lr: float, **given: object) -> None:
    alike = {
        "peak_gpu_memory_bytes": (number + 1) * GIB,
        "gpu_memory_basis": "processes",
        "gpu_share": 0.5,
        "code": CODE,
        "overrides": json.dumps(overrides({"optimizer.lr": lr})),
    }
    written.run("digits", number, **(alike | given))


def test_trials_count_that_were_measured_and_would_run_alike(written: Written) -> None:
    study = written.study("digits")
    written.our_tables()
    lrs = [0.1, 0.01, 0.001, 0.0001, 0.05, 0.005]
    for lr in lrs:
        add(study, 0.5, lr=lr)
    add(study, state=TrialState.FAIL, lr=0.1)
    ran(written, 0, lrs[0])
    ran(written, 1, lrs[1], gpu_memory_basis="cards", gpu_share=1.0)  # nobody else was on its card
    ran(written, 2, lrs[2], gpu_memory_basis="cards")  # what neighbours added is in it
    ran(written, 3, lrs[3], code="d" * 64)
    ran(written, 4, lrs[4], overrides=json.dumps(["width=1024", "optimizer.lr=0.05"]))
    ran(written, 5, lrs[5], peak_gpu_memory_bytes=None)
    ran(written, 6, 0.1, state="FAIL", failure="oom")

    found = list(peaks(History(written.url), "digits", CODE, overrides))

    assert [(params["optimizer.lr"], peak) for params, peak in found] == [(0.1, GIB), (0.01, 2 * GIB)]


def test_nothing_is_known_where_the_code_is_not(written: Written) -> None:
    study = written.study("digits")
    written.our_tables()
    add(study, 0.5, lr=0.1)
    ran(written, 0, 0.1, code=None)

    assert list(peaks(History(written.url), "digits", None, overrides)) == []
