"""Hydra's own suite for launchers and sweepers, where it asks what a job sees: names, folders, logging, environment.

Its other suites ask for what this sweeper is not: a batch of returned jobs in the order of a grid.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.test_utils.launcher_common_tests import IntegrationTestSuite

pytestmark = pytest.mark.slow

FLAGS = [
    *("-m", "hydra/sweeper=sweeper", "hydra.sweeper.n_trials=1"),
    "hydra.sweeper.budget.max_failures=1",  # the suite's tasks return nothing
    "hydra.sweeper.study_name='${now:%H%M%S%f}'",  # it runs an app twice and wants two jobs
]


@pytest.fixture(autouse=True)
def _database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SWEEPER_STORAGE", f"sqlite:///{tmp_path}/suite.db")


@pytest.mark.parametrize(("task_launcher_cfg", "extra_flags"), [({}, [*FLAGS, "hydra.sweeper.launcher=inline"])])
class TestInline(IntegrationTestSuite):
    pass
