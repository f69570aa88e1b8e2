"""`sweeper audit`, and what a run was made of on its page."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from sweeper.record import Code, Record, Storage
from sweeper.trial import Captured, Ended, Started
from tests.cli.conftest import Sweeper
from tests.record.samples import make_spec

DOCUMENT = {
    "python": {"version": "3.11.7"},
    "packages": {"numpy": "2.1.0", "torch": "2.4.1"},
    "system": {"distribution": "Debian GNU/Linux 12"},
    "cpu": {"usable": 8, "model": "AMD EPYC"},
    "frameworks": {"torch": {"version": "2.4.1", "cuda": "12.1", "cudnn": 90100}},
    "gpus": {
        "driver": "550.54.15",
        "cuda_driver": "12.4",
        "visible": [{"name": "NVIDIA H100", "memory_bytes": 85520809984}],
    },
}
CODE = {"files": [{"path": "new.py", "sha256": "f" * 64, "size": 7}], "diff": {"sha256": "e" * 64, "size": 2048}}


@pytest.fixture
def record(sqlite_url: str) -> Any:
    storage = Storage(sqlite_url)
    optuna.create_study(storage=storage, study_name="digits")
    yield Record(storage)
    storage.close()


def write_run(record: Record, number: int, gaps: tuple[str, ...] = (), drift: tuple[str, ...] = (), **spec: Any) -> str:
    study = optuna.load_study(study_name="digits", storage=record._storage)
    trial = study.ask()
    assert trial.number == number
    run = uuid.uuid4().hex
    record.code_taken(Code("c" * 64, "1" * 40, "main", None, True, json.dumps(CODE)))
    record.run_opened("s" * 32, make_spec(number=number, run=run, code="c" * 64, **spec)).result()
    now = time.time()
    said = ("e" * 64, DOCUMENT, {"seeds": {}}, ("GPU-1",), drift, gaps, 1.0 - len(gaps) / 10)
    end = Ended(run, 3, now, TrialState.COMPLETE, (1.0,))
    record.heard(
        [
            Started(run, 0, now, "node", 1),
            *(Captured(run, i + 1, now, m, *said) for i, m in enumerate(("start", "end"))),
            end,
        ]
    ).result()
    study.tell(trial, 1.0)
    return run


def test_everything_is_on_record(record: Record, sweeper: Sweeper) -> None:
    write_run(record, 0)
    found = sweeper("audit")
    assert (found.status, found.out) == (0, "1 of 1 run wholly on record\n")
    assert sweeper("audit", "--json").json == []


def test_what_is_amiss_by_reason(record: Record, sweeper: Sweeper) -> None:
    write_run(record, 0, gaps=("gpus: no answer within 10 s",))
    write_run(record, 1, gaps=("gpus: no answer within 10 s",), drift=("lib.py: has changed since the code snapshot",))
    write_run(record, 2)
    found = sweeper("audit", "digits")
    assert found.status == 1
    lines = [" ".join(line.split()) for line in found.out.splitlines()]
    assert lines[0] == "1 of 3 runs wholly on record"
    assert "2 gpus: no answer within 10 s digits/0, digits/1" in lines
    assert "1 drift: lib.py: has changed since the code snapshot digits/1" in lines
    assert [(row["number"], row["completeness"]) for row in sweeper("audit", "--json").json] == [(0, 0.9), (1, 0.9)]
    assert len(sweeper("audit", "--csv").out.splitlines()) == 4


def test_a_study_that_is_not_there(record: Record, sweeper: Sweeper) -> None:
    found = sweeper("audit", "digts")
    assert found.status == 2 and "did you mean 'digits'?" in found.err


def test_a_run_that_could_not_say_anything(record: Record, sweeper: Sweeper) -> None:
    study = optuna.load_study(study_name="digits", storage=record._storage)
    study.ask()
    record.run_opened("s" * 32, make_spec(run="b" * 32)).result()
    record.heard([Ended("b" * 32, 0, 1.0, TrialState.FAIL)]).result()
    (row,) = sweeper("audit", "--json").json
    assert row["amiss"] == ["code: it is not on record", "environment: it is not on record"]


def test_the_page_of_a_trial(record: Record, sweeper: Sweeper) -> None:
    run = write_run(record, 0, gaps=("seed: random was never seeded",), drift=("lib.py: has changed",))
    page = " ".join(sweeper("show", "digits/0").out.split())
    assert f"code commit {'1' * 12} of main, with a diff of 2 KiB and 1 file that no commit has (cccccccccccc)" in page
    assert "environment Python 3.11.7, 2 packages, Debian GNU/Linux 12, 8 × AMD EPYC (eeeeeeeeeeee)" in page
    assert "torch 2.4.1 (cuda 12.1, cudnn 90100)" in page
    assert "NVIDIA H100, 79.6 GiB, driver 550.54.15, CUDA 12.4" in page
    assert "captured 90% of what is asked for is known" in page and "seed: random was never seeded" in page
    assert "drift lib.py: has changed" in page
    (found,) = sweeper("show", "digits/0", "--json").json["runs"]
    assert (found["run"], found["gpus"], found["completeness"]) == (run, ["GPU-1"], 0.9)


def test_the_page_of_a_repetition(record: Record, sweeper: Sweeper) -> None:
    run = write_run(record, 0, reproduces="d" * 32)
    record.judged(run, json.dumps({"verdict": "diverged at step 3"})).result()
    assert f"run {'d' * 32}: diverged at step 3" in sweeper("show", "digits/0").out
