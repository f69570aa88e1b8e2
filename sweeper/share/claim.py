"""What a driver reports of its sweep, and what it may hold in return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sweeper.trial import Resources

Amount = tuple[float, float]  # CPUs, GPUs
NOTHING: Amount = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Terms:
    """What `hydra.sweeper.share` says; amounts are GPUs, or CPUs where the sweep's trials use no GPU."""

    weight: float = 1.0
    priority: int = 0  # higher ones come first, and take what lower ones hold
    least: float = 0.0  # comes before all priorities
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Applicant:
    """Whose sweep it is."""

    sweep: str = ""  # its uuid
    study: str = ""
    user: str = ""
    host: str = ""
    terms: Terms = Terms()


@dataclass(frozen=True, slots=True)
class Claim:
    """One sweep as its driver sees it."""

    by: Applicant
    unit: Resources  # what one slot holds
    held: Mapping[str, Amount] = field(default_factory=dict)  # by node: Ray's id
    running: int = 0  # trials
    wanted: int = 0  # slots in all that it could use now
    pace_s: float = 0.0  # how long its trials take
    closed: frozenset[str] = frozenset()  # nodes on which it places nothing
    memories: Mapping[str, int] = field(default_factory=dict)  # bytes of a node's cards, where it has looked
    heir_of: frozenset[str] = frozenset()  # sweeps whose drivers are dead, and whose slots it has taken over
    used_s: float = 0.0  # GPU-seconds (CPU-seconds) since it began, as it was told last
    balance_s: float = 0.0  # of these, what it has had less than its fair share

    @property
    def is_of_gpus(self) -> bool:
        return self.unit.gpus > 0 or self.unit.gpu_memory > 0

    def amount(self, held: Amount) -> float:
        """How much of what is shared that is."""
        return held[1] if self.is_of_gpus else held[0]

    @property
    def holding(self) -> float:
        return sum(map(self.amount, self.held.values()))


@dataclass(frozen=True, slots=True)
class Grant:
    """What the sweep may hold of each node from now on; a node that `allowed` does not name: nothing.

    Both say what may be held and not what is to be given back, so that one that comes late asks for nothing twice.
    """

    allowed: Mapping[str, Amount] = field(default_factory=dict)
    most: Mapping[str, float] = field(default_factory=dict)  # of what is shared; what is beyond it ends at once
    used_s: float = 0.0
    balance_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Standing:
    """A sweep in the queue, for people."""

    sweep: str
    study: str
    user: str
    host: str
    weight: float
    priority: int
    least: float
    most: float | None
    resource: str  # GPU | CPU: what is shared
    slot: float  # how much of it one trial holds
    share: float  # what is fair now
    held: float
    running: int  # trials
    waiting: int  # further trials that would run at once if there were room
    used_s: float  # of the resource, times seconds
    balance_s: float
