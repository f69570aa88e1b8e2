"""A disk that is full, for a moment at any write or for long: what was acknowledged is there, and nothing breaks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.record.power import build

pytestmark = pytest.mark.slow

START = """
import ctypes, os, sqlite3, sys, threading
import optuna
from sweeper.record import Record, Storage
from sweeper.trial import Measured
from tests.record.samples import make_spec, make_sweep

folder, library = sys.argv[1:]
disk = ctypes.CDLL(library)
optuna.logging.set_verbosity(optuna.logging.ERROR)

def sound(path):
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()

def points(storage):
    query = "SELECT count(*) FROM sweeper_metrics"
    return storage.ask(lambda connection: connection.exec_driver_sql(query).scalar())

def one_trial(storage, study, number):
    trial = study.ask()
    run = f"{number:032}"
    record = Record(storage)
    record.run_opened("s" * 32, make_spec(number=number, run=run)).result()
    x = trial.suggest_float("x", 0, 1)
    record.heard([Measured(run, seq, 0.0, seq, {"loss": 1.0}) for seq in range(9)]).result()
    study.tell(trial, x)
    return x
"""

MOMENT = """
storage = Storage(f"sqlite:///{folder}/sweeper.db")
study = optuna.create_study(storage=storage, study_name="digits")
failures, told = 0, []
for moment in range(60):
    disk.fail_after(moment % 30, 0)
    told.append(one_trial(storage, study, moment))
    disk.fail_after(-1, 0)
    assert [trial.value for trial in study.get_trials()] == told, moment
    assert points(storage) == 9 * len(told), moment
storage.close()
sound(f"{folder}/sweeper.db")
reader = Storage(f"sqlite:///{folder}/sweeper.db")
assert [trial.value for trial in reader.get_all_trials(1)] == told
"""

LONG = """
storage = Storage(f"sqlite:///{folder}/sweeper.db")
study = optuna.create_study(storage=storage, study_name="digits")
one_trial(storage, study, 0)
disk.fail_after(0, 1)
working = threading.Thread(target=one_trial, args=(storage, study, 1), daemon=True)
working.start()
while storage.health().reason is None:
    pass
assert "full" in storage.health().reason, storage.health()
assert len(study.get_trials()) == 1  # reading goes on
sound(f"{folder}/sweeper.db")
disk.fail_after(-1, 0)
working.join()
assert storage.health().reason is None
assert [trial.number for trial in study.get_trials()] == [0, 1]
assert points(storage) == 18
storage.close()
sound(f"{folder}/sweeper.db")
"""

OPENING = """
disk.fail_after(0, 1)
try:
    Storage(f"sqlite:///{folder}/sweeper.db")
except Exception as error:
    assert "disk is full" in str(error) and type(error).__name__ == "StorageError", repr(error)
else:
    raise AssertionError("opened on a full disk")
disk.fail_after(-1, 0)
one_trial(storage := Storage(f"sqlite:///{folder}/sweeper.db"), optuna.create_study(storage=storage), 0)
"""


@pytest.mark.parametrize("scene", [MOMENT, LONG, OPENING], ids=["a moment", "long", "opening"])
def test_a_full_disk(scene: str, tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    library = build(tmp_path)
    environment = os.environ | {
        "LD_PRELOAD": str(library),
        "IO_FOLDER": str(folder),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    command = [sys.executable, "-c", START + scene, str(folder), str(library)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
