"""The real loop, study, takeover and record under a virtual clock, with simulated slots and every fault of a seed.

A story that breaks a promise names its seed; `tell_story(Plot.drawn(SEED))` tells it again, step by step the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest

from tests.simulated.mutants import MUTANTS
from tests.simulated.story import Plot, tell_story, traced
from tests.simulated.world import Faults

FAST, ALL, BLOCK = 10, 2010, 250


def broken(seeds: Iterator[int] | range) -> list[str]:
    """What went wrong in the first story in which anything did."""
    for seed in seeds:
        if problems := tell_story(Plot.drawn(seed)):
            return [f"seed {seed}: {problem}" for problem in problems]
    return []


def test_promises_are_kept_whatever_happens() -> None:
    assert broken(range(FAST)) == []


@pytest.mark.slow
@pytest.mark.parametrize("first", range(FAST, ALL, BLOCK))
def test_promises_are_kept_in_thousands_of_stories(first: int) -> None:
    assert broken(range(first, min(first + BLOCK, ALL))) == []


def test_a_story_is_told_again_exactly() -> None:
    for seed in range(3):
        assert traced(Plot.drawn(seed)) == traced(Plot.drawn(seed))


CALM = Plot(seed=1, n_trials=3, n_jobs=2)


@pytest.mark.slow
@pytest.mark.parametrize("is_seen", [True, False], ids=["its death is seen", "only its lease tells"])
def test_a_driver_may_die_in_any_operation(is_seen: bool) -> None:
    """Every operation of a whole sweep in turn: whatever is half done then, the next driver brings to an end."""
    for operation in range(1, traced(CALM)[0] + 1):
        plot = replace(CALM, faults=Faults(deaths=frozenset({operation}), death_is_seen=is_seen))
        assert tell_story(plot) == [], f"death in operation {operation}"


@pytest.mark.slow
def test_the_next_driver_may_die_in_any_operation_of_its_takeover() -> None:
    plot = replace(CALM, faults=Faults(deaths=frozenset({60})))
    for operation in range(61, 100):
        faults = Faults(deaths=frozenset({60, operation}), crash_rate=0.3)
        assert tell_story(replace(plot, faults=faults)) == [], f"deaths in the operations 60 and {operation}"


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_the_harness_finds_what_peers_get_wrong(mutant: type[AbstractContextManager[None]]) -> None:
    """A harness that finds nothing proves nothing: with each of these bugs put in, some story breaks a promise."""
    with mutant():
        assert broken(range(300)) != []
