"""`gpus: auto`: what trials are told to hold, alone and in whole sweeps on simulated cards."""

from __future__ import annotations

import numpy as np
import pytest
from optuna.trial import TrialState

from sweeper.launch.room import Offer
from sweeper.packing import Packing
from sweeper.packing.packing import FIRST
from sweeper.trial import Ended, Failure, Metered, Resources
from tests.packing.simulated import AUTO, GIB, network, offline, one_each, packed

CARDS = [Offer("n", "n", cpus=64, gpus=4, accelerator="H100", gpu_memory=80 * GIB)]


def done(peak: int | None, basis: str = "processes") -> Ended:
    return Ended(
        "", 0, 0.0, TrialState.COMPLETE, (1.0,), runtime_s=100.0, peak_gpu_memory_bytes=peak, gpu_memory_basis=basis
    )


def oom() -> Ended:
    return Ended("", 0, 0.0, TrialState.FAIL, failure=Failure.OOM)


def taught(n: int = 12) -> Packing:
    """Knows trials of 2 to 24 GiB, by batch size."""
    packing = Packing(80 * GIB)
    for number in range(n):
        packing.need(number, {"batch": 1 + number}, AUTO)
        packing.learn(number, {"batch": 1 + number}, done(2 * GIB * (1 + number)))
    return packing


def test_a_trial_that_is_not_packed_holds_what_it_asks_for() -> None:
    asked = Resources(gpus=2.0)
    assert Packing().need(0, {}, asked) is asked


def test_the_first_run_alone_until_enough_are_measured() -> None:
    packing = Packing(80 * GIB)
    for number in range(FIRST):
        assert packing.need(number, {"batch": number}, AUTO).gpus == 1.0
        packing.learn(number, {"batch": number}, done(5 * GIB))
    assert packing.need(9, {"batch": 2}, AUTO).gpus == 0.0


def test_a_trial_is_given_what_it_will_need_and_not_much_more() -> None:
    held = taught().need(99, {"batch": 6}, AUTO)
    assert 12 * GIB <= held.gpu_memory <= 14 * GIB and held.is_packed


def test_far_from_what_is_known_there_is_more_room() -> None:
    near, far = (taught().need(99, {"batch": batch}, AUTO).gpu_memory for batch in (12, 100))
    assert far > 3 * near


def test_out_of_memory_next_to_others_is_tried_again_alone_and_out_of_memory_alone_is_final() -> None:
    packing = taught()
    assert packing.need(50, {"batch": 6}, AUTO).gpus < 1
    assert packing.is_crowded_out(50, oom())
    packing.learn(50, {"batch": 6}, oom())
    assert packing.need(50, {"batch": 6}, AUTO).gpus == 1.0
    assert not packing.is_crowded_out(50, oom())


def test_what_neighbours_took_counts_for_nobody() -> None:
    packing = Packing(80 * GIB)
    for number in range(3 * FIRST):
        packing.need(number, {"batch": number}, AUTO)
        packing.heard(number, {"batch": number}, Metered("", 0, 0.0, 50, {}, 70 * GIB, "cards", 0.0, None))
    assert packing.need(99, {"batch": 1}, AUTO).gpus == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_sweep_reaches_most_of_what_known_peaks_would_allow_and_rarely_runs_out_of_memory(seed: int) -> None:
    jobs = network(np.random.default_rng(seed), 1000)
    got, best, alone = packed(CARDS, jobs), offline(CARDS, jobs), one_each(CARDS, jobs)
    assert got.infeasible == 0
    assert got.oom <= 0.01 * len(jobs)
    assert best.makespan_s / got.makespan_s >= 0.9
    assert alone.makespan_s / got.makespan_s >= 4
