"""scripts/cluster: a real Ray cluster of several nodes on this machine, seen by `sweeper plan` and gone when ended."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from sweeper.launch.lookout import Lookout
from tests.conftest import QUADRATIC

pytestmark = pytest.mark.slow

Cluster = Callable[..., subprocess.CompletedProcess[str]]
SCRIPT = Path(__file__).parents[1] / "scripts" / "cluster.d" / "cluster.py"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(SCRIPT), *words]
        return subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=280)

    with tempfile.TemporaryDirectory(prefix="c") as fresh:  # in which Ray has never been; short, for its sockets
        environment = os.environ | {"SWEEPER_CLUSTER": str(tmp_path / "state"), "TMPDIR": fresh}
        environment.pop("RAY_TMPDIR", None)
        yield run
        run("stop")


def test_it_starts_is_seen_whole_by_a_plan_and_leaves_nothing(cluster: Cluster, tmp_path: Path) -> None:
    assert cluster("status").returncode == 1

    started = cluster("start", "--nodes", "2", "--cpus", "3")

    assert started.returncode == 0, started.stderr
    state = json.loads(cluster("status", "--json").stdout)
    assert state["is_up"]
    assert state["address"].startswith("127.0.0.1:")
    again = cluster("start")
    assert (again.returncode, state["address"] in again.stderr) == (1, True)

    plan = [sys.executable, "-m", "sweeper.cli", "plan", str(QUADRATIC), "x=interval(0, 1)", "--json"]
    environment = os.environ | {"RAY_ADDRESS": state["address"], "SWEEPER_STORAGE": f"sqlite:///{tmp_path}/s.db"}
    done = subprocess.run(
        [*plan, "hydra/sweeper/ray=cluster", "hydra.sweeper.resources.cpus=2"],
        check=False,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    prospect = json.loads(done.stdout)["prospect"]
    assert sorted(node["cpus"] for node in prospect["nodes"]) == [0, 3, 3]
    assert prospect["slots"] == 2  # a trial of two CPUs does not lie across nodes

    pids = [pid for node in state["nodes"] for pid, _ in node["processes"]] + [state["keeper"][0]]
    assert all(map(psutil.pid_exists, pids))
    with contextlib.closing(Lookout(state["address"])) as lookout:
        assert len([said for said in lookout.look().remarks if said.startswith("There is no GPU here")]) == 3
        assert cluster("stop").returncode == 0
        for _ in range(2):  # and the one who looks lives on
            assert f"no Ray cluster answers at {state['address']}" in lookout.look().remarks[0]
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not Path(state["folder"]).exists()
    assert cluster("status").returncode == 1
