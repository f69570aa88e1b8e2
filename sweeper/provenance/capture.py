"""What one process says of itself for its runs: everything once, and for each run only what may have changed.

A zygote makes its `Capture` before it forks trials; the trials inherit it, and a run costs them about a millisecond.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeper.provenance import completeness, determinism, environment, framework
from sweeper.provenance.code import Snapshot
from sweeper.provenance.drift import ImportCheck
from sweeper.provenance.environment import Environment
from sweeper.provenance.limit import failed
from sweeper.provenance.variable import variables


@dataclass(frozen=True, slots=True)
class Facts:
    """What a run is made of at one moment: the fields of `sweeper.trial.Captured`."""

    environment: str
    document: Mapping[str, Any] | None  # None where it has been said
    determinism: Mapping[str, Any]
    gpus: tuple[str, ...]
    drift: tuple[str, ...]
    gaps: tuple[str, ...]
    completeness: float


class Capture:
    """The facts of this process."""

    def __init__(self, snapshot: Snapshot, limit_s: float = environment.LIMIT_S) -> None:
        self._snapshot = snapshot
        self._environment = environment.capture(None if snapshot.root is None else Path(snapshot.root), limit_s)
        self._imported = framework.imported()
        self._imports = ImportCheck(snapshot.root, snapshot.modules)
        self._imports.look()
        self._said: set[str] = set()

    def at_start(self, seeds: Mapping[str, int]) -> Facts:
        """The facts when a task is about to begin."""
        return self._facts(seeds, self._imports.found)

    def at_end(self, seeds: Mapping[str, int]) -> Facts:
        """The facts when it has ended, with what it has imported by itself."""
        return self._facts(seeds, self._imports.look())

    def heard(self, environment: str) -> None:
        """An environment has reached the record's journal whole: later runs need only name it."""
        self._said.add(environment)

    def unheard(self) -> Capture:
        """The same, of which nothing has been said yet."""
        twin = copy.copy(self)
        twin._said = set()
        return twin

    def _facts(self, seeds: Mapping[str, int], drift: tuple[str, ...]) -> Facts:
        try:
            self._renew()
            state = determinism.state(seeds)
        except Exception as error:  # whatever goes wrong in looking must not end the training
            state = {"seeds": dict(seeds), "state": failed(error)}
        now = self._environment
        gaps = completeness.gaps(now.failures, state, self._snapshot.gaps)
        return Facts(
            environment=now.environment,
            document=None if now.environment in self._said else now.document,
            determinism=state,
            gpus=now.gpus,
            drift=drift,
            gaps=gaps,
            completeness=completeness.share(now.document, gaps),
        )

    def _renew(self) -> None:
        """Ask again what training code may have changed: imported frameworks, environment variables."""
        if (imported := framework.imported()) != self._imported:
            self._imported = imported
            self._environment = environment.with_frameworks(self._environment)
        if (current := variables()) != self._environment.document["variables"]:
            self._environment = Environment.of(
                {**self._environment.document, "variables": current}, self._environment.gpus
            )
