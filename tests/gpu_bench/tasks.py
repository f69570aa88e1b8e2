"""Task functions that use cards of a bench."""

import os
import time
from pathlib import Path

import sweeper
from tests.gpu_bench import GIB, occupy


def occupies(cfg):
    """Hold `cfg.gib` on the first card until the run's journal says that this was measured."""
    size = int(cfg.gib * GIB)
    occupy(size)
    await_in_journal(f'"peak_gpu_memory_bytes":{size}')
    return os.environ["CUDA_VISIBLE_DEVICES"].count(",") + 1 + cfg.gib


def outgrows(cfg):
    """The same; a first attempt that holds more than 10 GiB goes on until it is stopped."""
    marker = sweeper.checkpoint_dir() / "begun"  # before memory is held: it may be stopped as soon as that is seen
    is_first = not marker.exists()
    marker.touch()
    value = occupies(cfg)
    while is_first and cfg.gib > 10:
        time.sleep(0.01)
    return value


def await_in_journal(text):
    from hydra.core.hydra_config import HydraConfig

    folder = Path(HydraConfig.get().runtime.output_dir, ".sweeper")
    while not any(text in path.read_text() for path in folder.glob("*.jsonl")):
        time.sleep(0.01)


def waits(cfg):
    while not Path(cfg.until).exists():
        time.sleep(0.01)
    return 1.0


def meets_the_others(cfg):
    """Every rank says that it is there, and waits until all are."""
    meeting, size = Path(cfg.meeting), int(os.environ["WORLD_SIZE"])
    assert os.environ["MASTER_ADDR"] and int(os.environ["MASTER_PORT"])
    (meeting / f"{os.environ['SWEEPER_TRIAL']}-{os.environ['RANK']}").touch()
    while len(list(meeting.glob(f"{os.environ['SWEEPER_TRIAL']}-*"))) < size:
        time.sleep(0.02)
    return float(size)


def rank_one_fails(cfg):
    """The first rank would wait for ever."""
    if os.environ["RANK"] == "1":
        raise ValueError("no data on this node")
    while True:
        time.sleep(0.02)
