"""A detached sweep whose driver's node is killed: `python -m tests.launch.detached FOLDER` prints a line of JSON.

The driver begins on one of two nodes, which both run a trial. Its node dies in the middle; what drives on, on another
node, adopts the other node's trial. The third trial is stopped with the sweep. Somebody is attached all the while, and
somebody who does not see the sweep's folder reads the driver's log.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from sweeper.history import History
from tests.launch.nodes import APP, cluster
from tests.launch.scene import end_where_stuck

SECRET = "hunter2-and-more"  # of no service

# `sweeper launch` sends the driver to its own node, which is here the head; this puts it on a node that may die.
NEAR = """
import functools, os, runpy, sys
from sweeper.launch import keeper
keeper.sent = functools.partial(keeper.sent, near=os.environ["NEAR"])
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def play(folder: Path, made: Any) -> dict[str, Any]:
    (folder / "app.py").write_text(APP.replace('"go-on"', 'f"go-on-{cfg.x}"'))
    (folder / "near.py").write_text(NEAR)
    url = f"sqlite:///{folder}/sweeper.db"
    environment = os.environ | {
        "SWEEPER_STORAGE": url,
        "SWEEPER_ARTIFACTS": str(folder / "a"),
        "SWEEPER_DETACH": "1",
        "NEAR": made.nodes[0].node_id,
        "SERVICE_API_KEY": SECRET,
    }
    words = [
        *("near.py", "app.py", "-m", "hydra/sweeper=sweeper", "hydra/sweeper/sampler=grid", "+x=1,2,3"),
        *(f"+folder={folder}", f"hydra.sweeper.ray.address={made.address}", f"hydra.sweep.dir={folder}/sweep"),
    ]
    sent = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if sent.returncode:
        return {"sent": sent.returncode, "said": sent.stderr}
    looking = {
        "attach": sweeper(folder, environment, "attach", "app"),
        "logs": sweeper(folder, environment, "logs", "-f", "app", hidden=folder / "sweep"),
    }
    wait(lambda: len(waiting(folder)) == 2)
    driver = psutil.Process(int(re.findall(r"driven by process (\d+)", sent.stderr)[0]))
    has_lost_a_node = kill_what_is_around(driver, made)
    begun = waiting(folder)
    for path in begun:
        (folder / path.name.replace("epochs", "go-on")).touch()
    wait(lambda: bool(waiting(folder) - begun) and all(path.read_text().endswith("2 3 ") for path in begun))
    stop = sweeper(folder, environment, "stop", "--now", "app")
    stopped = stop.communicate()[0]
    shown = {verb: process.communicate()[0] for verb, process in looking.items()}
    history = History(url)
    runs = [run for trial in history.trials("app") for run in history.runs("app", trial.number)]
    return {
        "sent": sent.returncode,
        "said": sent.stderr,
        "has_lost_a_node": has_lost_a_node,
        "status": looking["attach"].returncode,
        "shown": shown,
        "stopped": [stop.returncode, stopped],
        "epochs": sorted(path.read_text() for path in folder.glob("epochs-*")),
        "runs": sorted((run.attempt, run.state, str(run.failure)) for run in runs),
        "sweeps": [sweep.outcome for sweep in history.sweeps("app")],
        "secrets": [str(path) for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()],
    }


def kill_what_is_around(driver: psutil.Process, made: Any) -> bool:
    """Kill the node that the driver is on; where Ray has put it on the head, which is the cluster, its keeper alone.

    Returns once the driver has gone down with it, and so has the trial of the node: it must not hear that it may go on.
    """
    keeper, raylet = driver.parents()[:2]
    for node in made.nodes:
        if raylet.pid in [info.process.pid for infos in node.all_processes.values() for info in infos]:
            below = raylet.children(recursive=True)
            made.remove_node(node, allow_graceful=False)
            psutil.wait_procs(below)
            return True
    keeper.kill()
    psutil.wait_procs([driver])
    return False


def waiting(folder: Path) -> set[Path]:
    """What trials write that are in the middle, or were when their node died."""
    return {path for path in folder.glob("epochs-*") if path.read_text().endswith("0 1 ")}


def wait(until: Callable[[], bool]) -> None:
    while not until():
        time.sleep(0.05)


def sweeper(
    folder: Path, environment: dict[str, str], *words: str, hidden: Path | None = None
) -> subprocess.Popen[str]:
    """The command line, for which the folder `hidden` is empty."""
    command = [sys.executable, "-m", "sweeper.cli", *words]
    if hidden is not None:
        command = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(hidden), *command]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


if __name__ == "__main__":
    end_where_stuck()
    with cluster(2) as ours:
        print("\n" + json.dumps(play(Path(sys.argv[1]), ours)))
