"""What a run was made of, in a few lines: code, environment, how much of it is known, what it repeats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sweeper import text
from sweeper.errors import NotFound

if TYPE_CHECKING:
    from sweeper.history import CodeRow, History, RunRow

Fact = tuple[str, str]
_GAPS = 4  # shown


def facts(history: History, run: RunRow) -> Iterator[Fact]:
    """Lines for the page of a trial; none for a run of which nothing was captured."""
    if run.code is not None:
        yield "code", _code_line(history, run.code)
    if run.environment is not None:
        yield from _environment_lines(history, run.environment)
    if run.completeness is not None:
        yield from _capture_lines(run)
    for i, path in enumerate(run.drift):
        yield "" if i else "drift", text.printable(path)
    if run.reproduces is not None:
        verdict = "" if run.verdict is None else f": {run.verdict['verdict']}"
        yield "repeats", f"run {run.reproduces}{text.printable(verdict)}"


def _code_line(history: History, code: str) -> str:
    try:
        row = history.code(code)
    except NotFound as error:
        return text.printable(str(error))
    if row.commit is None:
        return f"in no repository: {text.count(len(row.document['files']), 'file')} kept ({code[:12]})"
    words = f"commit {row.commit[:12]}" + (f" of {text.printable(row.branch)}" if row.branch else "")
    return f"{words}, {_changes(row)} ({code[:12]})"


def _changes(row: CodeRow) -> str:
    parts = []
    if row.document["diff"]:
        parts.append(f"a diff of {text.size(row.document['diff']['size'])}")
    if row.document["files"]:
        parts.append(text.count(len(row.document["files"]), "file") + " that no commit has")
    return "with " + " and ".join(parts) if parts else "clean" if not row.is_dirty else "with changed submodules"


def _environment_lines(history: History, environment: str) -> Iterator[Fact]:
    try:
        document = history.environment(environment).document
    except NotFound as error:
        yield "environment", text.printable(str(error))
        return
    python, system, cpu = (_part(document, name) for name in ("python", "system", "cpu"))
    words = [
        f"Python {python.get('version', 'unknown')}",
        f"{len(_part(document, 'packages'))} packages",
        str(system.get("distribution", "unknown")),
        f"{cpu.get('usable', '?')} × {cpu.get('model', 'unknown')}",
    ]
    yield "environment", text.printable(f"{', '.join(words)} ({environment[:12]})")
    for name, build in _part(document, "frameworks").items():
        parts = [f"{key} {build[key]}" for key in ("cuda", "cudnn", "nccl") if build.get(key)]
        yield "", text.printable(f"{name} {build.get('version')}" + (f" ({', '.join(parts)})" if parts else ""))
    gpus = _part(document, "gpus")
    for gpu in gpus.get("visible", ()):
        memory = text.size(gpu["memory_bytes"])
        yield "", text.printable(f"{gpu['name']}, {memory}, driver {gpus['driver']}, CUDA {gpus['cuda_driver']}")


def _part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A section of the environment; empty where it could not be captured."""
    found = document.get(name)
    return found if isinstance(found, Mapping) else {}


def _capture_lines(run: RunRow) -> Iterator[Fact]:
    share = f"{run.completeness:.0%} of what is asked for is known"
    yield "captured", "wholly" if not run.gaps else share
    for gap in run.gaps[:_GAPS]:
        yield "", text.printable(gap)
    if len(run.gaps) > _GAPS:
        yield "", f"and {text.count(len(run.gaps) - _GAPS, 'further gap')}"
