"""What there is to run trials on, before any is placed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Node:
    """A machine and all that it has."""

    name: str
    cpus: float
    gpus: float


@dataclass(frozen=True, slots=True)
class Prospect:
    """A cluster as it is now."""

    where: str  # for people: `this machine`
    nodes: tuple[Node, ...]
    cpus_free: float  # not taken by anybody at the moment
    gpus_free: float
    slots: int  # trials at once, if nobody else took anything
