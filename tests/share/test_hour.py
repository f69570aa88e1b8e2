"""Hours of a cluster under virtual time: whoever wants GPUs has had what is fair, and none was idle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sweeper.share.book import Book
from sweeper.share.claim import Terms
from sweeper.trial import Resources
from tests.share.simulated import Sweep, World, node, worst

pytestmark = pytest.mark.slow

HOUR_S = 3600
Length = Callable[[np.random.Generator], float]


def between(low: float, high: float) -> Length:
    return lambda random: float(random.uniform(low, high))


SHORT, MIXED, LONG = between(10, 20), between(10, 1200), between(1100, 1200)


def two_nodes(*sweeps: Sweep, seed: int = 0) -> World:
    return World([node("a"), node("b")], sweeps, seed)


@pytest.mark.parametrize("seed", range(2))
def test_short_and_long_trials_share_by_weight_and_a_priority_has_its_cap(seed: int) -> None:
    world = two_nodes(
        Sweep("mixed", MIXED, Terms(2)),
        Sweep("long", LONG, Terms(1)),
        Sweep("first", SHORT, Terms(1, priority=1, most=4)),
        seed=seed,
    ).run(HOUR_S)

    assert worst(world.shares(["mixed", "long", "first"])) < 0.03
    assert sum(world.idle) == 0


def test_whoever_comes_while_long_trials_run_is_made_up_to() -> None:
    world = two_nodes(Sweep("long", LONG), Sweep("late", SHORT, joins_s=600)).run(HOUR_S + 600)

    assert worst(world.shares(["long", "late"])) < 0.03
    assert max(sweep.moves for sweep in world.sweeps) < 40  # nothing goes to and fro


def test_a_node_goes_and_returns_and_sweeps_come_and_go() -> None:
    def lose(world: World) -> None:
        world.lose("b")

    def gain(world: World) -> None:
        world.nodes.append(node("b"))

    world = two_nodes(
        Sweep("one", MIXED, Terms(2)), Sweep("two", MIXED), Sweep("three", SHORT, joins_s=300, leaves_s=3000)
    )
    world.at = {1000.0: lose, 1500.0: gain}
    world.run(HOUR_S)

    assert worst(world.shares(["one", "two", "three"])) < 0.03
    assert sum(world.idle) == 0


def test_the_queue_dies_and_comes_back_and_nothing_is_forgotten() -> None:
    def die(world: World) -> None:
        world.book = Book()

    world = two_nodes(Sweep("one", MIXED, Terms(2)), Sweep("two", MIXED, joins_s=100))
    world.at = {float(second): die for second in range(150, HOUR_S, 150)}
    world.run(HOUR_S)

    assert worst(world.shares(["one", "two"])) < 0.03


def test_the_end_of_a_sweep_is_no_idle_time_for_the_others() -> None:
    world = two_nodes(Sweep("ends", MIXED, trials=20), Sweep("goes on", SHORT)).run(2400)

    assert world.sweeps[0].finished == 20
    assert sum(world.idle) <= 1  # the second in which it ends


def test_who_needs_a_whole_node_gets_one_and_keeps_it() -> None:
    world = two_nodes(
        Sweep("small", between(10, 120)), Sweep("large", between(60, 120), unit=Resources(gpus=8), joins_s=60)
    ).run(HOUR_S)

    assert world.sweeps[1].moves == 1
    assert worst(world.shares(["small", "large"], begin_s=300)) < 0.05


def test_a_priority_preempts_and_the_lower_ones_go_on_when_it_is_done() -> None:
    world = two_nodes(Sweep("low", LONG), Sweep("high", SHORT, Terms(priority=1), trials=100, joins_s=300)).run(900)

    low, high = world.sweeps
    assert high.finished == 100
    assert low.preempted == 16
    held = [row for row in world.held if "high" in row]
    assert held[5]["high"] == 16  # within seconds
    assert world.held[-1] == {"low": 16}


def test_no_one_starves_beside_a_hundred_times_its_weight() -> None:
    world = two_nodes(Sweep("heavy", SHORT, Terms(100)), Sweep("light", SHORT, Terms(1))).run(HOUR_S)

    assert world.sweeps[1].finished > 0
    assert worst(world.shares(["light"])) < 0.3
