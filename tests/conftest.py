from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests import gpu_bench

settings.register_profile("sweeper", deadline=None)  # how long an example takes says nothing on a busy machine
settings.load_profile("sweeper")


def pytest_collection_finish() -> None:
    """Have the collector look no more through all that is imported and collected: a tenth of the time of the tests."""
    gc.collect()
    gc.freeze()


Sweep = Callable[..., subprocess.CompletedProcess[str]]

QUADRATIC = Path(__file__).parents[1] / "studies" / "quadratic" / "train.py"
DIGITS = Path(__file__).parents[1] / "studies" / "digits" / "train.py"


@pytest.fixture(scope="session")
def gpu_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a driver library that sees the cards of a bench (tests/gpu_bench)."""
    return gpu_bench.build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def launch(tmp_path: Path) -> Sweep:
    """Run a Hydra script as a sweep in an empty folder, as a user would; inline unless told otherwise."""

    def run(*arguments: str, script: Path = QUADRATIC, launcher: str = "inline") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(sys.executable, str(script), "-m", "hydra/sweeper=sweeper"),
                *(f"hydra.sweeper.launcher={launcher}", "hydra.sweep.dir=sweep", *arguments),
            ],
            cwd=tmp_path,
            env=os.environ | {"SWEEPER_STORAGE": f"sqlite:///{tmp_path}/sweeper.db"},
            check=False,
            capture_output=True,
            text=True,
            timeout=240,
        )

    return run
