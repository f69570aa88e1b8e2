"""What was acknowledged survives a power cut at any file operation, and the database is sound after each."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.record.power import Disk, build, read_log

pytestmark = pytest.mark.slow

# A driver: opens a new database, runs trials, and appends a line to `acks` whenever something was acknowledged.
DRIVER = """
import os, sys
import optuna
from sweeper.record import Record, Storage
from sweeper.trial import Measured
from tests.record.samples import make_spec, make_sweep

folder, synchronous = sys.argv[1:]
optuna.logging.set_verbosity(optuna.logging.ERROR)
storage = Storage(f"sqlite:///{folder}/sweeper.db")
storage.ask(lambda connection: connection.exec_driver_sql(f"PRAGMA synchronous = {synchronous}").close())
storage.ask(lambda connection: connection.exec_driver_sql("PRAGMA wal_autocheckpoint = 40").close())
acks = os.open(f"{folder}/acks", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
study = optuna.create_study(storage=storage, study_name="digits", sampler=optuna.samplers.RandomSampler(seed=1))
record = Record(storage)
record.sweep_opened(make_sweep()).result()
for number in range(12):
    trial = study.ask()
    run = f"{number:032}"
    record.run_opened("s" * 32, make_spec(number=number, run=run)).result()
    x = trial.suggest_float("x", 0, 1)
    record.heard([Measured(run, seq, 0.0, seq, {"loss": 1.0}) for seq in range(5)]).result()
    os.write(acks, b'["points", %d]\\n' % number)
    study.tell(trial, x)
    os.write(acks, b'["told", %d]\\n' % number)
os._exit(0)
"""


def losses(tmp_path: Path, synchronous: str) -> list[str]:
    """What a power cut lost that had been acknowledged, over all moments at which it may happen."""
    folder = tmp_path / "disk"
    folder.mkdir()
    environment = os.environ | {
        "LD_PRELOAD": str(build(tmp_path)),
        "IO_LOG": str(tmp_path / "log"),
        "IO_FOLDER": str(folder),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    subprocess.run([sys.executable, "-c", DRIVER, str(folder), synchronous], env=environment, check=True)
    disk, acks, chance, lost = Disk(), [], random.Random(1), []
    for moment, operation in enumerate(read_log(tmp_path / "log")):
        if operation.path.endswith("/acks"):
            acks += [json.loads(line) for line in operation.data.splitlines()]
            continue
        if operation.path.endswith("-shm"):
            continue
        disk.do(operation)
        for files in (disk.after_power_cut(), disk.after_torn_power_cut(chance)):
            lost += [f"moment {moment}: {what}" for what in missing(files, acks, tmp_path / "after")]
    assert ["told", 11] in acks
    return lost


def missing(files: dict[str, bytearray], acks: list[list[object]], folder: Path) -> list[str]:
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for path, content in files.items():
        (folder / Path(path).name).write_bytes(content)
    if not (folder / "sweeper.db").exists():
        return ["the database"] if acks else []
    connection = sqlite3.connect(folder / "sweeper.db")
    try:
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        if verdict != "ok":
            return [verdict]
        if not acks:
            return []
        told = {row[0] for row in connection.execute("SELECT number FROM trials WHERE state = 'COMPLETE'")}
        points = dict(
            connection.execute(
                "SELECT number, count(*) FROM sweeper_metrics m JOIN sweeper_runs r ON r.id = m.run_id GROUP BY 1"
            )
        )
    except sqlite3.DatabaseError as error:
        return [str(error)]
    finally:
        connection.close()
    return [
        f"{what} {number}"
        for what, number in acks
        if (number not in told if what == "told" else points.get(number) != 5)
    ]


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    assert losses(tmp_path, "FULL") == []


def test_the_simulation_sees_what_a_weaker_setting_loses(tmp_path: Path) -> None:
    assert losses(tmp_path, "NORMAL") != []
