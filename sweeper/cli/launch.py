"""`sweeper launch`: runs any Hydra script as a sweep by adding the flags that say so, and becomes it."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from sweeper.errors import LaunchError


def launch(
    script: Annotated[str, typer.Argument(help="A Python file whose main function is a @hydra.main app.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="Hydra overrides: lr='tag(log, interval(1e-5, 1e-1))' model=cnn,mlp …"),
    ] = None,
    n_trials: Annotated[int | None, typer.Option(help="The study's target total.")] = None,
    n_jobs: Annotated[int | None, typer.Option(help="Most trials at once.")] = None,
    study: Annotated[str | None, typer.Option(help="The study's name.")] = None,
    storage: Annotated[str | None, typer.Option(help="The database's URL.")] = None,
    join: Annotated[
        bool, typer.Option("--join", help="Beside the driver that is at work on the study already.")
    ] = False,
    inline: Annotated[
        bool, typer.Option("--inline", help="In this process, one trial at a time: breakpoints work.")
    ] = False,
) -> None:
    """Launch a sweep, or finish one that was interrupted."""
    check_script(script)
    flags = {
        "n_trials": n_trials,
        "n_jobs": n_jobs,
        "study_name": quoted(study),
        "storage": quoted(storage),
        "launcher": "inline" if inline else None,
        "join": "true" if join else None,
    }
    given = [f"hydra.sweeper.{key}={value}" for key, value in flags.items() if value is not None]
    arguments = [script, "-m", "hydra/sweeper=sweeper", *given, *(overrides or [])]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *arguments])


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
