"""A sweep of an app that crashes, runs out of memory and hangs, on a real Ray: what is on record of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeper.history import History
from tests.conftest import Sweep

pytestmark = pytest.mark.slow

APP = """
import os, time
import hydra
import sweeper
from omegaconf import DictConfig

@hydra.main(version_base="1.3", config_path=None)
def main(cfg: DictConfig) -> float:
    seen = sweeper.checkpoint_dir() / "seen"
    if cfg.kind == "flaky" and not seen.exists():
        seen.touch()
        os._exit(3)
    if cfg.kind == "crashing":
        os.abort()
    if cfg.kind == "greedy":
        raise MemoryError("12 GiB")
    if cfg.kind == "hanging":
        time.sleep(600)
    return 1.0

if __name__ == "__main__":
    main()
"""


def test_each_end_is_on_record_with_its_attempts(launch: Sweep, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    done = launch(
        *("hydra/sweeper/sampler=grid", "+kind=fine,flaky,crashing,greedy,hanging", "hydra.sweeper.trial.retries=1"),
        *("hydra.sweeper.trial.silence=1s", "hydra.sweeper.trial.grace=0"),
        script=tmp_path / "app.py",
        launcher="ray",
    )

    assert done.returncode == 5
    history = History(f"sqlite:///{tmp_path}/sweeper.db")
    found = {}
    for trial in history.trials("app"):
        runs = history.runs("app", trial.number)
        found[trial.params["+kind"]] = (trial.state, [run.failure for run in runs])
        folder = tmp_path / "sweep" / str(trial.number)
        assert [Path(run.folder) for run in runs] == [folder, folder / "attempt-2"][: len(runs)]
    assert found == {
        "fine": ("COMPLETE", [None]),
        "flaky": ("COMPLETE", ["crashed", None]),
        "crashing": ("FAIL", ["crashed", "crashed"]),
        "greedy": ("FAIL", ["oom"]),
        "hanging": ("FAIL", ["timeout"]),
    }
    assert "3 of 5 trials failed: " in done.stderr
    assert "1 × the process died of signal 6 (SIGABRT) (trial " in done.stderr
