"""One run of chaos: faults by a seed while a sweep runs, the same launch again when it dies, and a reckoning."""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import world as worlds

from sweeper.history import History

_BREATH_S = (2.0, 6.0)  # between two faults
STORAGE = (
    "sqlite:///FILE or postgresql://USER@HOST/NAME; just sqlite or postgresql for a file or a server of its own, which "
    "can then be stopped, crashed and started as well"
)
_REST_S = 420.0  # what the sweep may take to its end once nothing breaks any more


def wreak(world: worlds.World, seed: int, minutes: float) -> int:
    """Break things until the time is over; how many there were."""
    chance = random.Random(seed)
    possible = worlds.faults(world)
    world.wait_for_a_point()
    began = time.monotonic()
    count = 0
    while time.monotonic() - began < minutes * 60:
        with contextlib.suppress(subprocess.TimeoutExpired):
            assert world.driver is not None
            status = world.driver.wait(timeout=chance.uniform(*_BREATH_S))
            if status == 0:
                break
            say(began, f"the driver is gone, status {status}: the same launch again")
            world.launch()
            continue
        done = chance.choice(possible)(world, chance)
        count += 1
        say(began, done)
    return count


def rest(world: worlds.World) -> bool:
    """Let the sweep come to its end; whether it did."""
    deadline = time.monotonic() + _REST_S
    while time.monotonic() < deadline:
        assert world.driver is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            if world.driver.wait(timeout=max(0.1, deadline - time.monotonic())) == 0:
                return True
            world.launch()
            time.sleep(1.0)
    return False


def reckon(world: worlds.World, has_ended: bool) -> dict[str, int]:
    """How often each promise was broken."""
    history = History(world.storage)
    trials = history.trials(world.study)
    runs = {trial.number: history.runs(world.study, trial.number) for trial in trials}
    of_run = {run.run: run for found in runs.values() for run in found}
    noted = world.acknowledged.read_text() if world.acknowledged.exists() else ""
    acknowledged = [tuple(line.split()) for line in noted.splitlines()]
    stored = {
        name: set(history.curves(name)["loss"].steps) if "loss" in history.curves(name) else set() for name in of_run
    }
    twice = Counter(acknowledged)
    completed = [sum(run.state == "COMPLETE" for run in found) for found in runs.values()]
    return {
        "sweep did not end": int(not has_ended),
        "trials beyond or below the number asked for": abs(len(trials) - world.n_trials),
        "gaps or duplicates among trial numbers": len(set(range(world.n_trials)) ^ {trial.number for trial in trials}),
        "trials left running": sum(trial.state == "RUNNING" for trial in trials),
        "runs left running": sum(run.state == "RUNNING" for run in of_run.values()),
        "trials that are not complete": sum(trial.state != "COMPLETE" for trial in trials),
        "trials completed twice": sum(count > 1 for count in completed),
        "wrong values": sum(trial.values != (trial.params["+x"],) for trial in trials if trial.values),
        "acknowledged points lost": sum(int(step) not in stored.get(run, set()) for run, step in acknowledged),
        "epochs trained twice in one run": sum(count > 1 for count in twice.values()),
        "drivers that did not end when told": world.unended,
        "processes left": sum(len(found) for found in world.processes().values()),
    }


def say(began: float, text: str) -> None:
    print(f"{time.monotonic() - began:7.1f} s  {text}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--storage", default="sqlite", metavar="URL", help=STORAGE)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="c", ignore_cleanup_errors=True) as path:
        with worlds.made(Path(path), asked.storage, n_trials=max(12, int(asked.minutes * 30))) as world:
            if world.disk is None:
                print("no tmpfs can be mounted here: no disk is filled", flush=True)
            world.launch()
            count = wreak(world, asked.seed, asked.minutes)
            violations = reckon(world, rest(world))
            if any(violations.values()):
                print(world.log.read_text()[-6000:])
        said = {"seed": asked.seed, "storage": world.said_storage, "faults": count, "launches": world.launches}
        print(json.dumps(said | {"trials": world.n_trials, "violations": violations}))
    return int(any(violations.values()))


if __name__ == "__main__":
    sys.exit(main())
