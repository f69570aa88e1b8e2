"""Task functions that trials' processes can import by name, one for each way a trial can end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna

import sweeper


def returns(cfg):
    print("trained on", cfg.x)
    sweeper.log({"loss": cfg.x / 2}, step=0)
    return cfg.x**2


def raises(cfg):
    raise ValueError("learning rate too high")


def exits(cfg):
    sys.exit(3)


def vanishes(cfg):
    sweeper.log({"loss": 1.0}, step=0)
    os._exit(7)


def segfaults(cfg):
    os.kill(os.getpid(), signal.SIGSEGV)


def returns_nothing(cfg):
    pass


def runs_out_of_memory(cfg):
    raise MemoryError("no room for 12 GiB")


def prunes(cfg):
    raise optuna.TrialPruned


def asks_the_pruner(cfg):
    for step in range(10):
        sweeper.report(float(step), step=step)
        if sweeper.should_prune():
            raise optuna.TrialPruned
    return 9.0


def waits(cfg):
    Path(cfg.signal).write_text("running")
    time.sleep(600)


def leaks(cfg):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    Path(cfg.signal).write_text(str(child.pid))
    return 0.0


def tells_identity(cfg):
    return float(os.environ["SWEEPER_TRIAL"])
