"""A cluster of nodes with different cards on one machine, and a sweep on it.

`python -m tests.gpu_bench.cluster FOLDER NODES N_TRIALS DIES OVERRIDES…`: NODES are letters of CARDS, and once half of
the trials are done the node DIES is killed, or none for `-`. Each node has a bench of its own. The sweep runs in a
process of its own, as a user's would; what it printed comes at the end, as one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sweeper.errors import SweeperError
from sweeper.history import History
from tests.gpu_bench import GIB, Bench, Card

CARDS = {
    "H": (8, "NVIDIA H100 80GB HBM3", 80),
    "A": (4, "NVIDIA A100-SXM4-40GB", 40),
    "T": (2, "Tesla T4", 16),
}


@contextlib.contextmanager
def cluster(folder: Path, kinds: str) -> Iterator[Any]:
    """A head that runs nothing, and a node for each letter; `nodes` of what is given has them by letter."""
    os.environ |= {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_health_check_initial_delay_ms": "0",
        "RAY_health_check_period_ms": "500",
        "RAY_health_check_failure_threshold": "4",
        "RAY_agent_register_timeout_ms": "120000",  # a busy machine
        "RAY_raylet_start_wait_time_s": "120",
        "RAY_memory_monitor_refresh_ms": "0",
    }
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "num_gpus": 0, "include_dashboard": False})
    made.nodes = {}
    try:
        for letter in kinds:
            count, name, gib = CARDS[letter]
            cards = [Card(f"GPU-{letter}{i}", name, gib * GIB) for i in range(count)]
            bench = Bench(Path(os.environ["LD_LIBRARY_PATH"].split(":")[0]), folder / f"cards-{letter}", cards)
            bench.write()
            os.environ["GPU_BENCH"] = str(bench.file)  # Ray looks for cards in this process, before the node starts
            made.nodes[letter] = made.add_node(num_cpus=2, num_gpus=count, env_vars=bench.environment())
        yield made
    finally:
        made.shutdown()


def main(folder: Path, kinds: str, n_trials: int, dies: str | None, *overrides: str) -> None:
    with cluster(folder, kinds) as made:
        command = [sys.executable, str(folder / "train.py"), "-m", "hydra/sweeper=sweeper", "hydra.sweep.dir=sweep"]
        command += [f"hydra.sweeper.ray.address={made.address}", f"hydra.sweeper.n_trials={n_trials}", *overrides]
        sweep = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if dies is not None:
            while sweep.poll() is None and done(folder) < n_trials // 2:
                time.sleep(0.2)
            made.remove_node(made.nodes[dies], allow_graceful=False)
        printed, _ = sweep.communicate()
    print(json.dumps({"status": sweep.returncode, "printed": printed}))


def done(folder: Path) -> int:
    with contextlib.suppress(SweeperError):
        (study,) = History(f"sqlite:///{folder}/sweeper.db").studies()
        return study.counts["COMPLETE"]
    return 0


if __name__ == "__main__":
    place, kinds, n, dies, *further = sys.argv[1:]
    main(Path(place), kinds, int(n), dies if dies != "-" else None, *further)
