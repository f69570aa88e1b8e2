"""A rehearsal leaves nothing behind but what is quicker the second time."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from optuna.trial import TrialState

from sweeper.provenance.capture import Capture
from sweeper.provenance.code import NO_SNAPSHOT
from sweeper.run import seed, training
from sweeper.run.app import LoadedApp
from sweeper.run.rehearsal import rehearse


class _Loud(Callbacks):
    def on_job_start(self, *_: object, **__: object) -> None:
        raise AssertionError


def _task(_: DictConfig) -> float:
    raise AssertionError


def test_the_users_code_is_not_called_and_all_is_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = _state()
    capture = Capture(NO_SNAPSHOT)
    monkeypatch.setattr(logging.getLogger("tests.rehearsal"), "disabled", True)

    ended = rehearse(LoadedApp(_task, _Loud(), capture))

    assert (ended.state, ended.values) == (TrialState.COMPLETE, (0.0,))
    assert _state() == before
    assert logging.getLogger("tests.rehearsal").disabled
    assert list(tmp_path.iterdir()) == []
    assert capture.at_start({}).document is not None, "the first trial must still say its environment"


def test_a_birth_is_rehearsed_and_threads_and_logging_work_afterwards() -> None:
    code = (
        "import logging, random, threading\n"
        "from sweeper.run import rehearsal\n"
        "seeded, random.seed = [], lambda: seeded.append(threading.active_count())\n"
        "rehearsal.rehearse_birth()\n"
        "thread = threading.Thread(target=logging.error, args=('said',)); thread.start(); thread.join()\n"
        "print(len(seeded) == rehearsal._TURNS, threading.active_count())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["True", "1"]
    assert "said" in told.stderr


def _state() -> tuple[object, ...]:
    root = logging.getLogger()
    hydra: Any = HydraConfig.instance()
    return list(root.handlers), root.level, dict(os.environ), seed.seeds(), hydra.cfg, training.current(), Path.cwd()
