"""Starts, shows and ends a small Ray cluster of several nodes on this machine."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

_START_S = 300.0  # a busy machine
_GRACE_S = 10.0


@dataclass(frozen=True)
class Node:
    name: str
    cpus: int
    gpus: int
    processes: list[tuple[int, float]]  # pid and when it began: pids are given out again


@dataclass(frozen=True)
class State:
    """What lies in `cluster.json`."""

    address: str
    folder: str  # Ray's own files
    keeper: tuple[int, float]  # the process that started the nodes, and ends them
    nodes: list[Node]


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/cluster", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    start = verbs.add_parser("start", help="a head that runs no trials, and so many nodes beside it")
    start.add_argument("--nodes", type=int, default=2)
    start.add_argument("--cpus", type=int, default=1, help="that each node says it has (1)")
    start.add_argument("--gpus", type=int, default=0, help="that each node says it has (0); they need not exist")
    verbs.add_parser("stop")
    verbs.add_parser("status").add_argument("--json", action="store_true")
    keep = verbs.add_parser("keep")  # what `start` leaves behind
    for name in ("nodes", "cpus", "gpus"):
        keep.add_argument(name, type=int)
    given = parser.parse_args()
    folder = Path(os.environ.get("SWEEPER_CLUSTER", ".cluster")).absolute()
    if given.verb == "start":
        begin(folder, given)
    elif given.verb == "stop":
        end(folder)
    elif given.verb == "status":
        show(folder, given.json)
    else:
        hold(folder, given)


def begin(folder: Path, given: argparse.Namespace) -> None:
    if given.nodes < 1 or given.cpus < 1 or given.gpus < 0:
        sys.exit("scripts/cluster: give --nodes and --cpus of 1 or more, and --gpus of 0 or more")
    if is_up(found := read(folder)):
        sys.exit(f"scripts/cluster: there is one at {found.address}; `scripts/cluster stop` ends it")
    clear(folder, found)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [sys.executable, __file__, "keep", str(given.nodes), str(given.cpus), str(given.gpus)]
    with (folder / "log").open("w") as log:
        keeper = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + _START_S
    while (found := read(folder)) is None:
        if keeper.poll() is not None or time.monotonic() > deadline:
            keeper.terminate()
            sys.exit(f"scripts/cluster: it did not start; {folder / 'log'} says why")
        time.sleep(0.1)
    show(folder, is_json=False)
    print(f"\nexport RAY_ADDRESS={found.address}   # then: sweeper launch … hydra/sweeper/ray=cluster")


def hold(folder: Path, given: argparse.Namespace) -> None:
    """Be the parent of every node until told to end."""
    os.environ |= {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # every port on the loopback address alone
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_agent_register_timeout_ms": "120000",  # a busy machine takes its time
        "RAY_raylet_start_wait_time_s": "120",
    }
    os.umask(0o077)
    room = tempfile.mkdtemp(prefix="sweeper-cluster-")  # a short path: sockets lie in it
    os.environ["RAY_TMPDIR"] = room  # what Ray notes of its latest cluster as well: /tmp/ray need not be there
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        cpus, gpus = given.cpus, given.gpus
        nodes = [described("head", cluster.head_node, 0, 0)]
        for number in range(given.nodes):
            made = cluster.add_node(num_cpus=cpus, num_gpus=gpus)
            nodes.append(described(f"node {number + 1}", made, cpus, gpus))
        write(folder, State(cluster.address, room, mark(os.getpid()), nodes))
        while True:
            signal.pause()
    finally:
        cluster.shutdown()
        shutil.rmtree(room, ignore_errors=True)
        (folder / "cluster.json").unlink(missing_ok=True)


def end(folder: Path) -> None:
    found = read(folder)
    if found is None:
        print("there is no cluster")
        return
    clear(folder, found)
    print(f"the cluster at {found.address} has ended")


def show(folder: Path, is_json: bool) -> None:
    """Exits with 1 where there is none."""
    found = read(folder)
    if is_json:
        print(json.dumps(None if found is None else asdict(found) | {"is_up": is_up(found)}, indent=2))
    elif found is None:
        print("there is no cluster; `scripts/cluster start` starts one")
    else:
        print(f"{found.address}: {'up' if is_up(found) else 'down'}; log: {folder / 'log'}")
        for node in found.nodes:
            state = "up" if all(map(is_alive, node.processes)) else "down"
            pids = " ".join(str(pid) for pid, _ in node.processes)
            print(f"  {node.name:<8} {state:<5} {node.cpus} CPU  {node.gpus} GPU  pids {pids}")
    if not is_up(found):
        sys.exit(1)


def clear(folder: Path, found: State | None) -> None:
    """End what is left of a cluster: its keeper first, which ends the nodes; then nodes that it has left."""
    if found is None:
        return
    nodes = [process for node in found.nodes for process in node.processes]
    for marks in ([found.keeper], nodes):
        processes = [psutil.Process(pid) for pid, began in marks if is_alive((pid, began))]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        for process in psutil.wait_procs(processes, timeout=_GRACE_S)[1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    shutil.rmtree(found.folder, ignore_errors=True)
    (folder / "cluster.json").unlink(missing_ok=True)


def described(name: str, node: Any, cpus: int, gpus: int) -> Node:
    pids = [info.process.pid for infos in node.all_processes.values() for info in infos]
    return Node(name, cpus, gpus, [mark(pid) for pid in pids])


def mark(pid: int) -> tuple[int, float]:
    return pid, psutil.Process(pid).create_time()


def is_alive(process: tuple[int, float]) -> bool:
    pid, began = process
    with contextlib.suppress(psutil.NoSuchProcess):
        found = psutil.Process(pid)
        return found.create_time() == began and found.status() != psutil.STATUS_ZOMBIE
    return False


def is_up(found: State | None) -> bool:
    return found is not None and is_alive(found.keeper) and is_alive(found.nodes[0].processes[0])


def read(folder: Path) -> State | None:
    try:
        plain = json.loads((folder / "cluster.json").read_text())
    except FileNotFoundError:
        return None
    nodes = [Node(**node | {"processes": [tuple(one) for one in node["processes"]]}) for node in plain["nodes"]]
    return State(**plain | {"keeper": tuple(plain["keeper"]), "nodes": nodes})


def write(folder: Path, state: State) -> None:
    beside = folder / "cluster.json.new"
    beside.write_text(json.dumps(asdict(state), indent=2))
    beside.rename(folder / "cluster.json")


if __name__ == "__main__":
    main()
