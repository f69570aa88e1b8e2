"""What many runs share is on record once."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.conftest import Sweep

pytestmark = pytest.mark.slow


def test_a_thousand_runs_have_one_environment_and_one_state_of_the_code(launch: Sweep, tmp_path: Path) -> None:
    for total in (500, 1000):
        done = launch(f"hydra.sweeper.n_trials={total}", "hydra/sweeper/sampler=random", "x=interval(-1,1)")
        assert done.returncode == 0, done.stderr
    connection = sqlite3.connect(tmp_path / "sweeper.db")
    counts = [
        connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in ("sweeper_runs", "sweeper_environments", "sweeper_code")
    ]
    (whole,) = connection.execute("SELECT count(*) FROM sweeper_runs WHERE determinism_at_end IS NOT NULL").fetchone()
    connection.close()
    assert counts == [1000, 1, 1]
    assert whole == 1000
