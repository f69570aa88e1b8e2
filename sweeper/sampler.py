"""The sampler: made from its config, and drawing for each trial from a stream of random numbers of that trial's own.

A sampler that went on with one stream would choose otherwise after a restart, and nobody could ask it again for one
trial. So before trial n is sampled, every generator inside the sampler is seeded from (seed of the sweep, n): the
choice depends on the seed, on n and on the trials that the sampler sees, and these are put on record with each ask.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig
from optuna.samplers import BaseSampler, BruteForceSampler
from optuna.samplers._lazy_random_state import LazyRandomState
from optuna.trial import TrialState

from sweeper.errors import ConfigError
from sweeper.space import Space

ASK = "sweeper:ask"  # a system attribute of the trial: what `view` gives
COUNTER = "qmc:"  # how the study's attributes begin in which QMCSampler counts the points that it has given

_MEMORIES = ("_gprs_cache_list", "_constraints_gprs_cache_list")  # what GPSampler keeps from one trial to the next


def build(config: DictConfig, space: Space) -> BaseSampler:
    """Make the sampler that `hydra.sweeper.sampler` describes. Raises ConfigError where it cannot be made."""
    if str(config.get("_target_")).endswith("GPSampler") and importlib.util.find_spec("torch") is None:
        # Optuna would find out after its start-up trials, in the middle of the sweep
        raise ConfigError("sampler=gp needs torch, which is not installed; type: pip install 'sweeper[gp]'")
    built = instantiated(config, "sampler")
    if callable(built) and not isinstance(built, BaseSampler):
        if space.when:
            raise ConfigError("sampler=grid cannot follow hydra.sweeper.when; use hydra/sweeper/sampler=brute_force")
        return built(search_space=space.grid())  # type: ignore[no-any-return]
    if isinstance(built, BruteForceSampler):
        space.grid()  # says which parameter is continuous
    return built  # type: ignore[no-any-return]


def instantiated(node: Any, what: str) -> Any:
    """What Hydra makes of a node of `hydra.sweeper`."""
    try:
        return instantiate(node)
    except Exception as error:
        cause = error.__cause__ or error
        raise ConfigError(f"hydra.sweeper.{what} cannot be made: {' '.join(str(cause).split())}") from error


def seed_for(sampler: BaseSampler, seed: int, number: int) -> None:
    """Give every generator inside the sampler the stream of one trial, and let it forget what it kept of others."""
    for place, generator in enumerate(_generators(sampler, set())):
        generator.seed(np.random.SeedSequence([seed, number, place]).generate_state(8))
    for name in _MEMORIES:
        if hasattr(sampler, name):
            setattr(sampler, name, None)


def view(
    sampler: BaseSampler, seed: int, states: Mapping[int, TrialState], counters: Mapping[str, int]
) -> dict[str, Any]:
    """What a choice rests on: sampler, seed, and the trials in its view: all up to `last`, finished but for these.

    `states`: those of the trials that are not finished, and of the last one, by number.
    """
    return {
        **({"counters": dict(counters)} if counters else {}),
        "sampler": type(sampler).__name__,
        "seed": seed,
        "last": max(states, default=-1),
        "running": sorted(number for number, state in states.items() if state == TrialState.RUNNING),
        "waiting": sorted(number for number, state in states.items() if state == TrialState.WAITING),
    }


def _generators(owner: object, seen: set[int]) -> Iterator[np.random.RandomState]:
    """The generators that a sampler holds, or that parts of it hold, in an order that its class alone decides."""
    if id(owner) in seen:
        return
    seen.add(id(owner))
    if isinstance(owner, LazyRandomState):
        yield owner.rng
    elif isinstance(owner, np.random.RandomState):
        yield owner
    elif isinstance(owner, BaseSampler) or type(owner).__module__.startswith("optuna.samplers"):
        for value in getattr(owner, "__dict__", {}).values():
            yield from _generators(value, seen)
