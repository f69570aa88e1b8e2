"""Rebuilds a recorded run's code in a fresh folder, and starts it there with the record's interpreter and settings."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra._internal.utils import get_args_parser

from sweeper.errors import NotFound, ProvenanceError
from sweeper.history import CodeRow, EnvironmentRow, History, RunRow, SweepRow, TrialName
from sweeper.provenance.rebuild import rebuild
from sweeper.provenance.store import open_store
from sweeper.reproduction.request import Request

_OURS = (
    "hydra.sweeper",
    "hydra/sweeper",
    "hydra.sweep.",
    "hydra.run.",
    "hydra/launcher",
    "hydra.launcher",
    "hydra.mode",
)


@dataclass(frozen=True)
class Recorded:
    """A run with everything that it was made of."""

    run: RunRow
    sweep: SweepRow
    code: CodeRow
    environment: EnvironmentRow | None  # None for a run that ended before it could say

    @classmethod
    def find(cls, history: History, name: TrialName) -> Recorded:
        """The trial's last run that has ended by itself, else its last run. Raises NotFound, ProvenanceError."""
        runs = history.runs(name.study, name.number)
        if not runs:
            history.trial(name.study, name.number)  # says whether there is such a trial at all
            raise ProvenanceError(f"{name} was not run by sweeper: there is nothing on record to run again")
        whole = [run for run in runs if run.state in {"COMPLETE", "PRUNED"}]
        return cls.of(history, (whole or runs)[-1])

    @classmethod
    def of(cls, history: History, run: RunRow) -> Recorded:
        if run.code is None:
            raise ProvenanceError(f"the code of {run.study}/{run.number} is not on record: it cannot be run again")
        try:
            environment = None if run.environment is None else history.environment(run.environment)
        except NotFound:
            environment = None
        return cls(run, history.sweep(run.sweep), history.code(run.code), environment)


def prepare(recorded: Recorded, artifacts: str | None, folder: Path) -> str:
    """Rebuild the code below `folder`; returns where the artifacts lie.

    Raises ProvenanceError, ArtifactError where a part of the code is not to be had.
    """
    place = artifacts or recorded.sweep.artifacts
    if place is None:
        raise ProvenanceError("where the artifacts lie is not on record: name the place with --artifacts")
    (folder / ".sweeper").mkdir(parents=True, exist_ok=True)  # a mark: no code of the repository in which it lies
    rebuild(recorded.code.document, open_store(place), folder / "code")
    return place


def start(recorded: Recorded, request: Request, python: str) -> int:
    """Run the rebuilt code in a process of its own, to its verdict; returns the exit status."""
    document = recorded.code.document
    code = Path(request.code)
    script = ["-m", document["module"]] if document["module"] else [str(code / document["entry"])]
    flags, overrides = hydra_arguments(app_arguments(shlex.split(recorded.sweep.command)))
    command = [python, *script, *flags, "--multirun", "hydra/sweeper=sweeper", *overrides]
    command += [f"hydra.sweep.dir={request.folder}", "hydra.sweep.subdir=${hydra.job.num}"]
    paths = [str(code / path) for path in document["paths"]]
    inherited = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    environment = os.environ | request.variables() | {"PYTHONPATH": os.pathsep.join([*paths, *inherited])}
    return subprocess.run(command, cwd=_folder_of(recorded.sweep, code), env=environment, check=False).returncode


def app_arguments(command: Sequence[str]) -> Sequence[str]:
    """What followed the script or the module in `python …`."""
    i = 1
    while i < len(command) and command[i].startswith("-"):
        if command[i] == "-m":
            return command[i + 2 :]
        i += 2 if command[i] in {"-X", "-W"} else 1
    return command[i + 1 :]


def hydra_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Of an app's command line, the flags and overrides that bear on what Hydra composes, whatever was swept."""
    parsed, overrides = get_args_parser().parse_known_args(list(arguments))
    flags = []
    for name in ("config_path", "config_name", "config_dir"):
        if (value := getattr(parsed, name)) is not None:
            flags += [f"--{name.replace('_', '-')}", value]
    given = [*parsed.overrides, *overrides]
    kept = [text for text in given if text.lstrip("+~").startswith("hydra") and not text.lstrip("+~").startswith(_OURS)]
    return flags, kept


def differing_python(environment: Mapping[str, object]) -> str | None:
    """The recorded Python version, where this interpreter's is another."""
    recorded = environment.get("python")
    version = str(recorded.get("version")) if isinstance(recorded, Mapping) else None
    return None if version in {None, sys.version.split()[0]} else version


def _folder_of(sweep: SweepRow, code: Path) -> Path:
    """Where the command was given, inside the rebuilt code."""
    if sweep.cwd and sweep.root and Path(sweep.cwd).is_relative_to(sweep.root):
        folder = code / Path(sweep.cwd).relative_to(sweep.root)
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    return code


def absolute(url: str) -> str:
    """The same database from any folder."""
    scheme, is_file, rest = url.partition(":///")
    if not (is_file and scheme.startswith("sqlite")):
        return url
    path, query, options = rest.partition("?")
    return f"{scheme}:///{Path(path).absolute()}{query}{options}"
