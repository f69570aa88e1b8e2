"""The code of two runs, rebuilt from the stores and laid beside each other as a readable diff."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from sweeper.archive.files import store_for
from sweeper.compare import Comparison, Side
from sweeper.errors import NotFound
from sweeper.provenance import git
from sweeper.provenance.rebuild import rebuild


@dataclass(frozen=True, slots=True)
class Patch:
    """What leads from one run's code to another's."""

    old: str  # STUDY/NUMBER
    new: str
    lines: tuple[str, ...]  # a unified diff of `a/…` and `b/…`; none where the code is the same


def code_patches(found: Comparison, store_url: str | None) -> list[Patch]:
    """From the first run's code to that of each other run.

    Raises NotFound, ProvenanceError or ArtifactError where a part of either is not to be had.
    """
    first, *others = found.sides
    return [Patch(first.name, other.name, tuple(_lines(first, other, store_url))) for other in others]


def _lines(old: Side, new: Side, store_url: str | None) -> list[str]:
    if old.run.code == new.run.code:
        return []
    with tempfile.TemporaryDirectory(prefix="sweeper-compare-") as folder:
        for side, name in ((old, "a"), (new, "b")):
            if side.code is None:
                raise NotFound(f"the code of {side.name} is not on record: there is nothing to lay beside the other")
            rebuild(side.code.document, store_for(side.store, store_url), Path(folder) / name)
        return git.between(Path(folder), "a", "b").decode("utf-8", "replace").splitlines()
