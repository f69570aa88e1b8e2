"""What a launch is made of: secrets learnt, code kept, policy kept to, before its first trial; alike for any launch."""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sweeper.config.settings import Snapshot as SnapshotSettings
from sweeper.errors import ProvenanceError
from sweeper.provenance import code, secret
from sweeper.provenance.code import Code, Wanted
from sweeper.provenance.leftover import Limits
from sweeper.provenance.store import Store
from sweeper.record import Code as CodeRow


def learn_secrets(config: DictConfig) -> None:
    """Know the secrets of this launch, so that they are masked wherever they turn up."""
    plain = OmegaConf.to_container(config, resolve=False, enum_to_str=True)
    arguments = [argument.partition("=") for argument in sys.argv]
    secret.learn(dict(os.environ), plain, sys.argv, {key.lstrip("+-"): value for key, _, value in arguments})
    for flag, value in zip(sys.argv, sys.argv[1:], strict=False):
        if flag.startswith("-") and "=" not in flag:
            secret.learn({flag.lstrip("-"): value})


def take_code(
    task: Callable[..., Any], settings: SnapshotSettings, store: Store, outputs: Sequence[Path], beside: Sequence[Path]
) -> Code:
    """Keep the code of `task`. Raises ProvenanceError where it is not what `require` wants."""
    limits = Limits(file_bytes=settings.max_file_mib << 20, total_bytes=settings.max_total_mib << 20)
    return code.take(Wanted(entry_of(task), outputs, beside, limits), store)


def refuse(taken: Code, require: str) -> None:
    """Raise ProvenanceError with one sentence where the policy `hydra.sweeper.require` is not met."""
    if require in {"snapshot", "clean"} and not taken.is_whole:
        gaps = taken.snapshot.gaps
        more = f" (and {len(gaps) - 1} more)" if len(gaps) > 1 else ""
        raise ProvenanceError(
            f"hydra.sweeper.require={require}, but the code cannot be kept whole: {gaps[0]}{more}; let git ignore it, "
            "commit it, raise hydra.sweeper.snapshot's limits, or set hydra.sweeper.require=nothing"
        )
    if require == "clean" and (taken.document["commit"] is None or taken.is_dirty):
        raise ProvenanceError(
            f"hydra.sweeper.require=clean, but {_uncommitted(taken)}; commit, or set hydra.sweeper.require=snapshot"
        )


def code_row(taken: Code) -> CodeRow:
    """The snapshot as a row of the record."""
    document = taken.document
    return CodeRow(
        code=str(taken.snapshot.code),
        commit=document["commit"],
        branch=document["branch"],
        remote=document["remote"],
        is_dirty=None if document["commit"] is None else taken.is_dirty,
        document=json.dumps(document, sort_keys=True),
    )


def entry_of(task: Callable[..., Any]) -> Path:
    """The file that the task's module was loaded from."""
    module = sys.modules.get(inspect.unwrap(task).__module__)
    file = getattr(module, "__file__", None) or sys.argv[0]
    return Path(file).absolute()


def database_files(url: str) -> Iterable[Path]:
    """The files of an SQLite database; none for a server."""
    scheme, _, rest = url.partition(":///")
    if not scheme.startswith("sqlite"):
        return []
    path = Path(rest.partition("?")[0]).absolute()
    return [path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))]


def _uncommitted(taken: Code) -> str:
    document = taken.document
    if document["commit"] is None:
        return "the code lies in no repository with a commit"
    new = [file["path"] for file in document["files"]]
    if new:
        return f"{len(new)} files are in no commit, the first is {new[0]}"
    return "tracked files differ from the commit"
