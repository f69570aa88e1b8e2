"""A database that a release has written opens for ever.

`released/` holds one for each release whose schema differs from the one before, as SQL, with a small study in it. That
of a release to come is made by the first test below where it is missing: after a change of the schema, delete the file
of the present version, run this test and commit what it has made. A file of a release that is out is never changed.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

import sweeper
from sweeper.history import History, Inventory
from sweeper.record import Record, Storage
from sweeper.trial import Reported
from tests.record.samples import LIFE, make_spec, make_sweep

FOLDER = Path(__file__).with_name("released")
RELEASED = sorted(FOLDER.glob("*.sql"))


def write(path: Path) -> None:
    """A study as the present code writes it."""
    with closing(Storage(f"sqlite:///{path}")) as storage:
        record = Record(storage)
        record.sweep_opened(make_sweep(host="node", pid=0)).result()
        study = optuna.create_study(storage=storage, study_name="digits", sampler=optuna.samplers.RandomSampler(seed=1))
        trial = study.ask()
        record.run_opened("s" * 32, make_spec()).result()
        record.heard([event for event in LIFE if not isinstance(event, Reported)]).result()  # SQL has no infinity
        trial.suggest_float("lr", 1e-5, 1e-1, log=True)
        trial.report(0.5, 1)
        study.tell(trial, 0.3)
        study.enqueue_trial({"lr": 0.01})


def dump(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(connection.iterdump()) + "\n"


def schema(script: str) -> list[str]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(script)
        return sorted(row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"))


def test_the_file_of_this_version_has_the_schema_that_it_writes(tmp_path: Path) -> None:
    write(tmp_path / "new.db")
    written = dump(tmp_path / "new.db")
    kept = FOLDER / f"{sweeper.__version__}.sql"
    if not kept.exists():
        FOLDER.mkdir(exist_ok=True)
        kept.write_text(written, encoding="utf-8")
    assert schema(kept.read_text(encoding="utf-8")) == schema(written), f"the schema has changed: see {__file__}"


@pytest.mark.parametrize("kept", RELEASED, ids=lambda path: path.stem)
def test_it_is_read_and_written_to(kept: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/old.db"
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.executescript(kept.read_text(encoding="utf-8"))
    with closing(Storage(url)) as storage:
        study = optuna.load_study(storage=storage, study_name="digits")
        first, waiting = study.trials
        assert (first.state, first.values, first.intermediate_values) == (TrialState.COMPLETE, [0.3], {1: 0.5})
        assert waiting.state == TrialState.WAITING
        study.tell(study.ask(), 0.2)
        record = Record(storage)
        record.run_opened("s" * 32, make_spec(number=1, run="b" * 32)).result()
    assert Inventory.of(url).advice is None
    history = History(url)
    assert [row.number for row in history.best("digits")] == [1, 0]
    assert history.curves("a" * 32)["loss"].steps == (0, 2**40)
    assert [run.run for run in history.runs("digits", 1)] == ["b" * 32]
