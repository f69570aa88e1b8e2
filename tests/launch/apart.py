"""A sweep whose nodes see nothing of the driver's project: `python -m tests.launch.apart FOLDER` prints a line of JSON.

Each node runs in a mount namespace in which an empty file system lies over FOLDER/project. The first one dies in the
middle of a trial, and a second one takes its place.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from sweeper.history import History
from tests.launch.nodes import cluster
from tests.launch.scene import end_where_stuck
from tests.provenance.repository import Repository

FILE_BYTES = 9 << 20  # more than one piece

APP = """
import os, time
from pathlib import Path

import hydra
import sweeper
from lib.reading import words
from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path="conf", config_name="app")
def main(cfg: DictConfig) -> float:
    print("it runs", os.getcwd())
    Path("weights.bin").write_bytes(bytes([cfg.x]) * cfg.size)
    sweeper.save_artifact("weights.bin")
    sweeper.use_data("data")
    steps = sweeper.checkpoint_dir() / "steps"
    with steps.open("a") as file:
        file.write(".")
    sweeper.log({"steps": len(steps.read_text()), "ignored": float(os.path.exists("secret.txt"))}, step=0)
    if cfg.x == 2:
        (Path(cfg.outside) / f"waits-{os.environ['SWEEPER_ATTEMPT']}").touch()
        while not (Path(cfg.outside) / "go-on").exists():
            time.sleep(0.02)
    return float(len(words("data/words")))


if __name__ == "__main__":
    main()
"""


def project(folder: Path, outside: Path) -> None:
    """An app in a repository: tracked files, one that no commit has, and one that git ignores."""
    folder.mkdir()
    files = {
        "train/app.py": APP,
        "train/conf/app.yaml": f"x: 0\nsize: {FILE_BYTES}\noutside: {outside}\n",
        "train/data/words": "one two three",
        "train/lib/__init__.py": "",
        ".gitignore": "secret.txt\nartifacts\nmultirun\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    repository = Repository(folder)
    repository.git("add", ".")
    repository.git("commit", "-q", "-m", "first")
    (folder / "train/lib/reading.py").write_text("def words(path):\n    return open(path).read().split()\n")
    (folder / "train/secret.txt").write_text("of no concern")


def be_a_node(address: str, hidden: str) -> None:
    """Be the parent of a node with one CPU, for which the folder `hidden` is empty, until killed."""
    from ray._private.node import Node
    from ray._private.parameter import RayParams

    params = RayParams(num_cpus=1, gcs_address=address, redis_address=address, object_store_memory=100 << 20)
    params.update_if_absent(include_log_monitor=False, node_manager_port=0, node_ip_address="127.0.0.1")
    subprocess.run(["mount", "-t", "tmpfs", "none", hidden], check=True)
    Node(params, head=False, shutdown_at_exit=True, spawn_reaper=True)
    signal.pause()


@contextlib.contextmanager
def node_apart(address: str, hidden: Path) -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-m", "tests.launch.apart", "node", address, str(hidden)]
    before = nodes(address)
    with (hidden.parent / "node.log").open("a") as log:
        started = subprocess.Popen(["unshare", "--mount", *words], stdout=log, stderr=log)
    try:
        while nodes(address) <= before:
            if started.poll() is not None:
                raise RuntimeError((hidden.parent / "node.log").read_text())
            time.sleep(0.05)
        yield started
    finally:
        end(started)


def nodes(address: str) -> set[object]:
    """The ids of all nodes that the cluster has or had."""
    from ray._raylet import GcsClient

    return set(GcsClient(address=address).get_all_node_info())


def end(started: subprocess.Popen[bytes]) -> None:
    """Kill a node, all at once."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in [*psutil.Process(started.pid).children(recursive=True), psutil.Process(started.pid)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    started.wait()


def sweep(folder: Path, made: Any) -> dict[str, Any]:
    outside = folder / "outside"
    outside.mkdir()
    project(folder / "project", outside)
    train = folder / "project/train"
    command = [
        *(sys.executable, "app.py", "-m", "hydra/sweeper=sweeper", "hydra/sweeper/sampler=grid", "x=1,2"),
        *(f"hydra.sweeper.ray.address={made.address}", f"hydra.sweeper.ray.scratch={folder}/project/scratch"),
        *("hydra.sweep.dir=multirun/here", "hydra.sweeper.n_jobs=1"),
    ]
    environment = os.environ | {"SWEEPER_STORAGE": f"sqlite:///{folder}/sweeper.db"}
    with (folder / "log").open("w") as log, node_apart(made.address, folder / "project") as first:
        driver = subprocess.Popen(command, cwd=train, env=environment, stdout=log, stderr=log)
        wait_for(outside / "waits-0", driver)
        end(first)
        with node_apart(made.address, folder / "project"):
            wait_for(outside / "waits-1", driver)
            (outside / "go-on").touch()
            status = driver.wait()
    return {"status": status, "log": (folder / "log").read_text(), **on_record(folder, train)}


def wait_for(path: Path, driver: subprocess.Popen[bytes]) -> None:
    while not path.exists():
        if driver.poll() is not None:
            raise RuntimeError((path.parents[1] / "log").read_text())
        time.sleep(0.05)


def on_record(folder: Path, train: Path) -> dict[str, Any]:
    history = History(f"sqlite:///{folder}/sweeper.db")
    trials = sorted(history.trials("app"), key=lambda trial: trial.params["x"])
    runs = [run for trial in trials for run in history.runs("app", trial.number)]
    last = runs[-1]
    kept = {artifact.name: artifact.sha256 for artifact in history.artifacts(last.run)}
    blobs = {path.name for path in (train / "artifacts/sha256").glob("*/*")}
    return {
        "values": [trial.values for trial in trials],
        "runs": [(run.state, run.failure, run.attempt, list(run.drift)) for run in runs],
        "metrics": history.last_metrics(last.run),
        "kept": sorted(kept),
        "missing": sorted(name for name, sha256 in kept.items() if sha256 not in blobs),
        "is_whole": kept.get("weights.bin") == hashlib.sha256(b"\2" * FILE_BYTES).hexdigest(),
        "data": [row.error for row in history.data(last.run)],
        "folders": sorted(path.name for path in (train / "multirun/here").iterdir()),
        "left": sorted(path.name for path in train.iterdir()),
    }


if __name__ == "__main__":
    if sys.argv[1] == "node":
        be_a_node(*sys.argv[2:])
    end_where_stuck()
    with cluster(0) as ours:
        print("\n" + json.dumps(sweep(Path(sys.argv[1]), ours), default=str))
