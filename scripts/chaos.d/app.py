"""The app that is swept under chaos: a few epochs, each acknowledged in a file once its point is kept.

Its disk may be full at any moment: a point that was refused is not acknowledged, a checkpoint that cannot be written is
written at the next epoch.
"""

import contextlib
import os
import time
from pathlib import Path

import hydra
import tasks
from omegaconf import DictConfig

import sweeper
from sweeper.run import training


def _append(path: Path, line: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode())
    os.close(descriptor)


@hydra.main(version_base="1.3", config_path=None)
def main(cfg: DictConfig) -> float:
    acknowledged, state = Path(cfg.acknowledged), sweeper.checkpoint_dir() / "epoch"
    done = int(state.read_text()) if state.exists() else 0
    for epoch in range(done, 8):
        time.sleep(0.15)
        refused = training._refused
        sweeper.log({"loss": cfg.x / (epoch + 1)}, step=epoch)
        if training._refused == refused:
            _append(acknowledged, f"{os.environ['SWEEPER_RUN']} {epoch}\n")
        with contextlib.suppress(OSError):
            written = state.with_suffix(".new")
            written.write_text(str(epoch + 1))
            written.replace(state)
    return float(cfg.x)


if __name__ == "__main__":
    tasks.shown_when_asked()
    main()
