from __future__ import annotations

import compileall
import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from sweeper.record import open_database
from tests import gpu_bench

settings.register_profile("sweeper", deadline=None)  # how long an example takes says nothing on a busy machine
settings.load_profile("sweeper")


ROOT = Path(__file__).parents[1]
_FOLDERS = ("sweeper", "hydra_plugins", "studies", "tests")
_writes_no_bytecode = sys.dont_write_bytecode
sys.dont_write_bytecode = False  # until all is collected: what pytest makes of the tests is kept for the next time


def pytest_configure(config: pytest.Config) -> None:
    """Compile all once: tests start hundreds of processes, and where none writes bytecode, each would do it anew."""
    if not hasattr(config, "workerinput"):
        for folder in _FOLDERS:
            compileall.compile_dir(ROOT / folder, quiet=1)


def pytest_collection_finish() -> None:
    """Have the collector look no more through all that is imported and collected: a tenth of the time of the tests.

    From here on bytecode is written as the user of the tests wants it: they change modules within a second of time.
    """
    sys.dont_write_bytecode = _writes_no_bytecode
    gc.collect()
    gc.freeze()


Sweep = Callable[..., subprocess.CompletedProcess[str]]

QUADRATIC = ROOT / "studies" / "quadratic" / "train.py"
DIGITS = ROOT / "studies" / "digits" / "train.py"


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "sweeper.db"
    open_database(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    """A database of our schema with nothing in it; to copy one takes a hundredth of what making one takes."""
    shutil.copy(_sqlite_template, tmp_path / "sweeper.db")
    return f"sqlite:///{tmp_path}/sweeper.db"


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
