"""What a run is executed in, as one document named by its content: once per distinct environment on record.

What differs from run to run without changing what the code computes stays out of it: host name, paths, the UUIDs of the
GPUs; a run has these for itself.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeper.provenance import completeness, framework, gpu, machine, package, variable
from sweeper.provenance.limit import ask, has_failed
from sweeper.provenance.secret import masked

LIMIT_S = 10.0  # for the whole capture; it takes 0.1 s where nothing hangs


@dataclass(frozen=True, slots=True)
class Environment:
    """A document and its name."""

    environment: str  # sha256 of the document as canonical JSON
    document: Mapping[str, Any]
    gpus: tuple[str, ...]  # UUIDs of those that the process can see
    failures: tuple[str, ...]  # `what: why` for everything that could not be captured

    @classmethod
    def of(cls, document: Mapping[str, Any], gpus: tuple[str, ...]) -> Environment:
        return cls(hashlib.sha256(canonical(document)).hexdigest(), document, gpus, completeness.failures(document))


def capture(root: Path | None, limit_s: float = LIMIT_S) -> Environment:
    """Everything, in the process that trains, within the limit; what fails says so in its place.

    `root` is the top of the project's code: its lock files are looked at, and what is installed from it is its own.
    """
    answers = ask(
        {
            "python": machine.python,
            "system": machine.system,
            "cpu": machine.cpu,
            "memory": machine.memory,
            "variables": variable.variables,
            "packages": package.packages,
            "indexes": package.indexes,
            "conda": package.conda,
            "locks": functools.partial(package.locks, root),
            "frameworks": framework.frameworks,
            "blas": framework.blas,
            "gpus": gpu.gpus,
            "origins": functools.partial(package.origins, root),  # the one that starts processes comes last
        },
        limit_s,
    )
    document: dict[str, Any] = masked(answers)
    return Environment.of(document, _take_uuids(document["gpus"]))


def with_frameworks(before: Environment) -> Environment:
    """The same environment after the process has imported further frameworks; only these are asked again."""
    further = {"frameworks": framework.frameworks(), "blas": framework.blas()}
    return Environment.of({**before.document, **further}, before.gpus)


def canonical(document: object) -> bytes:
    """JSON whose bytes depend on the content alone."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), default=str).encode()


def _take_uuids(gpus: Any) -> tuple[str, ...]:
    if has_failed(gpus):
        return ()
    return tuple(found.pop("uuid") for found in gpus.get("visible", ()))
