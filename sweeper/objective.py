"""What a study optimizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweeper.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Objective:
    """What is optimized: a direction for each value, and their names where the task returns a mapping."""

    directions: tuple[str, ...]
    names: tuple[str, ...] = ()

    @classmethod
    def parse(cls, direction: object) -> Objective:
        """Read `hydra.sweeper.direction`: a word, a list of words, or a mapping from name to word."""
        names: tuple[str, ...] = ()
        if isinstance(direction, Mapping):
            names, words = tuple(map(str, direction)), list(direction.values())
        else:
            words = (
                list(direction) if isinstance(direction, Sequence) and not isinstance(direction, str) else [direction]
            )
        spelt = tuple(getattr(word, "name", str(word)).lower() for word in words)
        wrong = [word for word in spelt if word not in {"minimize", "maximize"}]
        if wrong or not spelt:
            raise ConfigError(f"hydra.sweeper.direction is {direction}; each direction must be minimize or maximize")
        return cls(spelt, names)
