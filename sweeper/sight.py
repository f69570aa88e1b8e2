"""What there is to see of a cluster, or of one machine, at this moment: plain records, for pages and for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Record = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Sight:
    """Records as `sweeper gpus --json` and `sweeper queue --json` print them."""

    where: str  # in words
    gpus: Sequence[Record] = ()
    queue: Sequence[Record] = ()
    remarks: Sequence[str] = ()  # sentences: who has no card, who does not answer
