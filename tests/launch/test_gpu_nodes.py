"""Sweeps on nodes with different cards: what trials hold there, and what no card is promised."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sweeper.errors import SweeperError
from sweeper.history import History
from tests.gpu_bench import GIB, proof
from tests.gpu_bench.cluster import Nodes, running

pytestmark = pytest.mark.slow

RANDOM = ("hydra/sweeper/sampler=random", "hydra.sweeper.seed=1")
_SCRIPT = """
import hydra
from tests.gpu_bench import tasks

@hydra.main(version_base=None, config_path=None)
def main(cfg):
    return tasks.{task}(cfg)

if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def nodes(gpu_library: Path) -> Iterator[Nodes]:
    """8×H100, 4×A100 and 2×T4, until the A100 are killed."""
    with tempfile.TemporaryDirectory(prefix="g") as path, running(Path(path), gpu_library, "HAT") as made:
        yield made


def script(nodes: Nodes, task: str) -> Path:
    path = nodes.folder / task / "train.py"  # apart from Ray's own files, which would be taken for its code
    path.parent.mkdir(exist_ok=True)
    path.write_text(_SCRIPT.format(task=task))
    return path


def occupying(nodes: Nodes, study: str, n_trials: int, gpus: str) -> subprocess.Popen[str]:
    """A launch whose trials take 3 to 6 GiB of a T4's 16."""
    return nodes.launch(
        script(nodes, "occupies"),
        *(study, f"hydra.sweeper.n_trials={n_trials}", "hydra.sweeper.n_jobs=2", "+gib=interval(3, 6)"),
        *(f"hydra.sweeper.resources={{cpus: 0, gpus: {gpus}, accelerator: T4}}", "hydra/sweeper/sampler=random"),
    )


def told(nodes: Nodes, process: subprocess.Popen[str], has_come: Callable[[History], bool]) -> None:
    """Wait until it stands on record; a sweep that ends before fails the test."""
    while process.poll() is None:
        try:
            if has_come(History(f"sqlite:///{nodes.folder}/sweeper.db")):
                return
        except SweeperError:
            pass
        time.sleep(0.05)  # a database tells nobody when it has grown
    pytest.fail(process.communicate()[0])


def test_a_card_that_somebody_else_uses_takes_no_trial_until_it_is_free(nodes: Nodes) -> None:
    until = nodes.folder / "until"
    nodes.benches["T"].change(0, processes=((os.getpid(), GIB),))
    process = nodes.launch(
        script(nodes, "waits"),
        *("busy", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=2", f"+until={until}", "+x=interval(0, 1)"),
        *("hydra.sweeper.resources={cpus: 0, gpu_memory: 12GiB, accelerator: T4}",),
    )
    told(nodes, process, lambda history: "GPU-T1" in history.on_gpus())
    told(nodes, process, lambda history: sum(study.counts["RUNNING"] for study in history.studies()) == 2)
    found = json.loads(
        subprocess.run(
            [sys.executable, "-m", "sweeper.cli", "gpus", "--json", "--address", nodes.address],
            env=nodes.environment(),
            cwd=nodes.folder,
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
    )
    cards = {card["uuid"]: card for card in found}
    assert len(cards) == 14 and cards["GPU-H0"]["memory_total"] == 80 * GIB
    assert (cards["GPU-T0"]["trials"], cards["GPU-T0"]["others"]) == ([], [os.getpid()])
    assert len(cards["GPU-T1"]["trials"]) == 1

    nodes.benches["T"].change(0, processes=())
    told(nodes, process, lambda history: {"GPU-T0", "GPU-T1"} <= set(history.on_gpus()))
    until.touch()
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    assert f"GPU 0 of {os.uname().nodename} is in use by process {os.getpid()}" in printed


def test_trials_are_packed_by_what_the_first_of_them_took_beside_a_sweep_that_takes_whole_cards(nodes: Nodes) -> None:
    for sweep in [occupying(nodes, "packed", 8, "auto"), occupying(nodes, "whole", 4, "1")]:
        printed, _ = sweep.communicate()
        assert sweep.returncode == 0, printed
    packed, whole = proof.runs(nodes.folder, "packed"), proof.runs(nodes.folder, "whole")
    assert [run.gpu_share for run in packed[:2]] == [1.0] * 2
    for run in packed[6:]:
        assert run.gpu_share is not None and run.peak_gpu_memory_bytes is not None
        assert run.peak_gpu_memory_bytes / (16 * GIB) <= run.gpu_share < 0.7
    assert [run.gpu_share for run in whole] == [1.0] * 4
    assert max(proof.most_on_each_card([*packed, *whole]).values()) <= 1 + 1e-6


def test_a_launch_that_goes_on_begins_with_what_was_measured_before(nodes: Nodes) -> None:
    for n_trials in (4, 6):
        sweep = occupying(nodes, "further", n_trials, "auto")
        printed, _ = sweep.communicate()
        assert sweep.returncode == 0, printed
    shares = [run.gpu_share or 1.0 for run in proof.runs(nodes.folder, "further")]
    assert shares[:2] == [1.0] * 2
    assert max(shares[4:]) < 0.7


def test_a_trial_that_outgrows_its_share_goes_on_with_a_larger_one(nodes: Nodes) -> None:
    sweep = nodes.launch(
        script(nodes, "outgrows"),
        *("outgrown", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=1", "+gib=interval(3, 12)"),
        *("hydra.sweeper.enqueue=[{+gib: 3}, {+gib: 12}]", "hydra/sweeper/sampler=random"),
        "hydra.sweeper.resources={cpus: 0, gpus: auto, accelerator: T4}",
    )
    printed, _ = sweep.communicate()
    assert sweep.returncode == 0, printed
    found = [(run.number, run.failure, round(run.gpu_share or 0, 4)) for run in proof.runs(nodes.folder, "outgrown")]
    assert found == [(0, None, 1.0), (1, "preempted", 0.225), (1, None, 0.9469)]


def test_whatever_trials_hold_no_card_is_promised_twice_and_a_node_that_dies_takes_no_trial_along(
    nodes: Nodes,
) -> None:
    status, printed = proof.sweep(nodes, 20, "A", "hydra.sweeper.n_jobs=4", *RANDOM)
    assert status == 0, printed
    assert list(proof.problems(nodes.folder, 20)) == []
    assert proof.slots_used(nodes.folder) < 16  # trials that hold the same have one after the other
