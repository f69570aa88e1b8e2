"""`sweeper launch`: runs any Hydra script as a sweep by adding the flags that say so, and becomes it."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from sweeper import detach_request
from sweeper.errors import ConfigError, LaunchError
from sweeper.plan_request import PlanRequest

Script = Annotated[str, typer.Argument(help="A Python file whose main function is a @hydra.main app.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Hydra overrides: lr='tag(log, interval(1e-5, 1e-1))' model=cnn,mlp …"),
]
Trials = Annotated[int | None, typer.Option(help="The study's target total.")]
Jobs = Annotated[int | None, typer.Option(help="Most trials at once.")]
StudyName = Annotated[str | None, typer.Option(help="The study's name.")]
StorageUrl = Annotated[str | None, typer.Option(help="The database's URL.")]
Inline = Annotated[bool, typer.Option("--inline", help="In this process, one trial at a time: breakpoints work.")]


def launch(
    script: Script,
    overrides: Overrides = None,
    n_trials: Trials = None,
    n_jobs: Jobs = None,
    study: StudyName = None,
    storage: StorageUrl = None,
    join: Annotated[
        bool, typer.Option("--join", help="Beside the driver that is at work on the study already.")
    ] = False,
    inline: Inline = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what it would do and start nothing, as `sweeper plan` does.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Have it driven on the cluster, and leave: `sweeper attach` comes back.")
    ] = False,
) -> None:
    """Launch a sweep, or finish one that was interrupted."""
    if plan and detach:
        raise ConfigError("--plan starts nothing, so there is nothing to --detach: give one of them")
    flags = shared_flags(n_trials, n_jobs, study, storage, inline=inline) | {"join": "true" if join else None}
    variables = PlanRequest().variables() if plan else detach_request.variables() if detach else {}
    become(script, flags, overrides or [], variables)


def shared_flags(
    n_trials: int | None, n_jobs: int | None, study: str | None, storage: str | None, *, inline: bool
) -> dict[str, object]:
    """The options that launching and planning share, as values of `hydra.sweeper`; None where one is not given."""
    return {
        "n_trials": n_trials,
        "n_jobs": n_jobs,
        "study_name": quoted(study),
        "storage": quoted(storage),
        "launcher": "inline" if inline else None,
    }


def become(
    script: str, flags: Mapping[str, object], overrides: Sequence[str], variables: Mapping[str, str]
) -> NoReturn:
    """Check the script and become its process, with what `flags` say of `hydra.sweeper` that is not None."""
    check_script(script)
    given = [f"hydra.sweeper.{key}={value}" for key, value in flags.items() if value is not None]
    arguments = [script, "-m", "hydra/sweeper=sweeper", *given, *overrides]
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *arguments], os.environ | variables)


def quoted(text: str | None) -> str | None:
    """`text` as a quoted value of Hydra's override grammar; backslashes count only before a quote or at the end."""
    if text is None:
        return None
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(text, Quote.single).with_quotes()


def check_script(script: str) -> None:
    """Refuse, before anything is started, a script that is missing, is no Python or never comes to Hydra."""
    path = Path(script)
    if not path.is_file():
        raise LaunchError(f"{script} is no file; give the Python script of a Hydra app")
    try:
        reaches = _reaches_hydra(path.resolve(), path.resolve().parent, set())
    except (SyntaxError, UnicodeDecodeError, ValueError) as error:
        raise LaunchError(f"{script} is no Python script ({error}); give the script of a Hydra app") from error
    if not reaches:
        raise LaunchError(
            f"{script} is no Hydra app: neither it nor a module beside it imports hydra; "
            "decorate its main function with @hydra.main"
        )


def _reaches_hydra(path: Path, root: Path, seen: set[Path]) -> bool:
    """Whether the file, or a module of the same folder tree that it imports, imports hydra."""
    seen.add(path)
    for name in _imports(ast.parse(path.read_text(encoding="utf-8"))):
        if name.partition(".")[0] == "hydra":
            return True
        base = root.joinpath(*name.split("."))
        for candidate in (base.with_suffix(".py"), base / "__init__.py"):
            if candidate.is_file() and candidate not in seen and _reaches_hydra(candidate, root, seen):
                return True
    return False


def _imports(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names
