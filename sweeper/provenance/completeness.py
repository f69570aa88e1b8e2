"""How much of what a run was made of is on record: a share, and a reason for everything that is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweeper.provenance.determinism import NEVER
from sweeper.provenance.limit import has_failed

_FAILED = "failed: "
_BESIDE_THE_DOCUMENT = 3  # code, determinism, drift: what is asked beside the sections of the document


def failures(document: Mapping[str, Any]) -> tuple[str, ...]:
    """`what: why` for everything of an environment that could not be captured."""
    return tuple(_failures("", document))


def gaps(environment: Sequence[str], determinism: Mapping[str, Any], code: Sequence[str]) -> tuple[str, ...]:
    """`what: why` for everything that could not be captured: the environment's failures, the code's gaps, and more."""
    found = [f"code: {gap}" for gap in code]
    found += environment
    found += _failures("determinism.", determinism)
    found += [f"seed: {name} was {NEVER}" for name, seed in determinism.get("seeds", {}).items() if seed == NEVER]
    if determinism.get("hash_seed") == "random":
        found.append("seed: the order of sets is random, as PYTHONHASHSEED was not set when the process began")
    return tuple(found)


def share(document: Mapping[str, Any], missing: Sequence[str]) -> float:
    """The share of what was asked that has an answer, 0 to 1; several gaps in one part count once."""
    parts = {gap.partition(":")[0].partition(".")[0] for gap in missing}
    return max(0.0, 1.0 - len(parts) / (len(document) + _BESIDE_THE_DOCUMENT))


def _failures(prefix: str, found: object) -> list[str]:
    if has_failed(found):
        return [f"{prefix.rstrip('.')}: {str(found).removeprefix(_FAILED)}"]
    if isinstance(found, Mapping):
        return [gap for name, inner in found.items() for gap in _failures(f"{prefix}{name}.", inner)]
    return []
