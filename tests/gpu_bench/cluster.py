"""A cluster of nodes with different cards on one machine, in a process of its own, and sweeps on it as a user's.

`python -m tests.gpu_bench.cluster FOLDER NODES` is that process: NODES are letters of CARDS, and each node has a bench
of its own. It prints the cluster's address, kills the node that a line of its input names, and ends with its input.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.gpu_bench import GIB, Bench, Card

CARDS = {
    "H": (8, "NVIDIA H100 80GB HBM3", 80),
    "A": (4, "NVIDIA A100-SXM4-40GB", 40),
    "T": (2, "Tesla T4", 16),
}
ROOT = Path(__file__).parents[2]


@dataclass
class Nodes:
    """A cluster that runs."""

    folder: Path
    address: str
    benches: dict[str, Bench]  # by letter
    process: subprocess.Popen[str]

    def kill(self, letter: str) -> None:
        """End a node with all that runs on it, as a power cut does."""
        print(letter, file=self.process.stdin, flush=True)
        _await(self.process.stdout, letter)

    def environment(self) -> dict[str, str]:
        """Of processes that speak to it."""
        return _environment(self.folder, next(iter(self.benches.values())).library)

    def launch(self, script: Path, study: str, *overrides: str) -> subprocess.Popen[str]:
        """A sweep on it, as a user starts one; its database is FOLDER/sweeper.db."""
        command = [sys.executable, str(script), "-m", "hydra/sweeper=sweeper", f"hydra.sweep.dir=sweep/{study}"]
        command += [f"hydra.sweeper.ray.address={self.address}", f"hydra.sweeper.study_name={study}", *overrides]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@contextlib.contextmanager
def running(folder: Path, library: Path, kinds: str) -> Iterator[Nodes]:
    """A cluster with a node for each letter. The folder's path must be short: Ray puts sockets there."""
    benches = {letter: _bench(folder, library, letter) for letter in kinds}
    with (
        (folder / "cluster.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "tests.gpu_bench.cluster", str(folder), kinds],
            cwd=ROOT,
            env=_environment(folder, library),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,  # which ends with its input
    ):
        yield Nodes(folder, _await(process.stdout, "address ").split()[1], benches, process)


def _bench(folder: Path, library: Path, letter: str) -> Bench:
    count, name, gib = CARDS[letter]
    cards = [Card(f"GPU-{letter}{i}", name, gib * GIB) for i in range(count)]
    bench = Bench(library, folder / f"cards-{letter}", cards)
    bench.write()
    return bench


def _environment(folder: Path, library: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("CUDA_VISIBLE_DEVICES", "RAY_ADDRESS")}
    return kept | {
        "LD_LIBRARY_PATH": str(library),
        "RAY_TMPDIR": str(folder),
        "PYTHONPATH": str(ROOT),
        "SWEEPER_STORAGE": f"sqlite:///{folder}/sweeper.db",
        "SWEEPER_ARTIFACTS": str(folder / "artifacts"),
    }


def _await(lines: Any, beginning: str) -> str:
    """The next line with this beginning; Ray prints others."""
    for line in lines:
        if line.startswith(beginning):
            return str(line)
    raise RuntimeError(f"the cluster ended before it said {beginning!r}")


def main(folder: Path, kinds: str) -> None:
    os.environ |= {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_health_check_initial_delay_ms": "0",
        "RAY_health_check_period_ms": "500",
        "RAY_health_check_failure_threshold": "4",
        "RAY_agent_register_timeout_ms": "120000",  # a busy machine
        "RAY_raylet_start_wait_time_s": "120",
        "RAY_memory_monitor_refresh_ms": "0",
        "RAY_worker_niceness": "0",  # on a busy machine, nice workers wait for ever
    }
    from ray.cluster_utils import Cluster

    library = Path(os.environ["LD_LIBRARY_PATH"])
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "num_gpus": 0, "include_dashboard": False})
    try:
        nodes = {}
        for letter in kinds:
            bench = Bench(library, folder / f"cards-{letter}")
            os.environ["GPU_BENCH"] = str(bench.file)  # Ray looks for cards in this process, before the node starts
            nodes[letter] = made.add_node(num_cpus=2, num_gpus=CARDS[letter][0], env_vars=bench.environment())
        print(f"\naddress {made.address}", flush=True)
        for line in sys.stdin:
            made.remove_node(nodes.pop(line.strip()), allow_graceful=False)
            print(f"\n{line.strip()}", flush=True)
    finally:
        made.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
