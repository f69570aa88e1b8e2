"""What a run was made of, in full: files to download, data, code with its diff, environment, determinism."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sweeper import text
from sweeper.archive.files import beginning
from sweeper.compare.difference import flattened
from sweeper.errors import NotFound, SweeperError
from sweeper.history import ArtifactRow, CodeRow, DataRow, RunRow
from sweeper.web.address import address
from sweeper.web.source import Source
from sweeper.web.table import Cell, Column, Table, forms, value, words

MOST_DIFF_BYTES = 200_000
_LISTED = ("packages", "origins")  # of an environment, in tables of their own or not at all


@dataclass(frozen=True)
class Line:
    """One line of a diff, and whether it was added, taken away, or tells where."""

    text: str
    look: str


@dataclass(frozen=True)
class Made:
    """All of it; empty where a run has none on record."""

    artifacts: Table | None = None
    data: Table | None = None
    code: Sequence[tuple[str, str]] = ()
    diff: Sequence[Line] = ()
    diff_note: str = ""
    environment: Sequence[tuple[str, str]] = ()
    packages: Table | None = None
    determinism: Sequence[tuple[str, str]] = ()
    gaps: Sequence[str] = field(default_factory=tuple)


def made_of(source: Source, run: RunRow) -> Made:
    """Read it; what is missing in a store is said in its place."""
    history = source.history
    code: CodeRow | None = None
    document: Mapping[str, Any] = {}
    with suppress(NotFound):  # `origin.facts` says on the same page what is not on record
        code = history.code(run.code) if run.code else None
        document = history.environment(run.environment).document if run.environment else {}
    sweep = next((sweep for sweep in history.sweeps(run.study) if sweep.sweep == run.sweep), None)
    diff, note = _diff(source, code, sweep.artifacts if sweep else None)
    rows = history.data(run.run)
    return Made(
        artifacts=_artifacts(run, history.artifacts(run.run)),
        data=_data(run, rows) if rows else None,
        code=_code(code),
        diff=diff,
        diff_note=note,
        environment=_pairs({key: found for key, found in document.items() if key not in _LISTED}),
        packages=_packages(run, document),
        determinism=_pairs({key: found for key, found in run.determinism.items() if key != "generators"}),
        gaps=[*run.gaps, *(f"changed while the sweep ran: {path}" for path in run.drift)],
    )


def _artifacts(run: RunRow, rows: Sequence[ArtifactRow]) -> Table:
    columns = [Column("file"), Column("kind"), Column("size", is_number=True), Column("sha256"), Column("saved")]
    return Table(
        "Files", columns, [_artifact(run, row) for row in rows], "This run keeps no file.", **_forms("/api/files", run)
    )


def _forms(path: str, run: RunRow) -> dict[str, str]:
    return forms(path, trial=f"{run.study}/{run.number}", attempt=run.attempt)


def _artifact(run: RunRow, row: ArtifactRow) -> list[Cell]:
    if row.sha256 is None:
        return [words(row.name), words(row.kind), Cell("not kept"), words(row.error), Cell(text.moment(row.saved_at))]
    href = address("/file", trial=f"{run.study}/{run.number}", attempt=str(run.attempt), name=row.name)
    digest = Cell(row.sha256[:12], title=row.sha256)
    return [words(row.name, href), words(row.kind), Cell(text.size(row.size)), digest, Cell(text.moment(row.saved_at))]


def _data(run: RunRow, rows: Sequence[DataRow]) -> Table:
    columns = [
        Column("data"),
        Column("place"),
        Column("files", is_number=True),
        Column("size", is_number=True),
        Column("sha256"),
    ]
    cells = [
        [
            words(row.name),
            words(row.url, longest=80),
            value(row.files),
            Cell(text.size(row.size)),
            Cell(row.sha256[:12], title=row.sha256) if row.sha256 else words(row.error),
        ]
        for row in rows
    ]
    return Table("Data it read", columns, cells, **_forms("/api/data", run))


def _code(code: CodeRow | None) -> list[tuple[str, str]]:
    if code is None:
        return []
    known = [("commit", code.commit), ("branch", code.branch), ("remote", code.remote), ("state", code.code)]
    facts = [(label, found) for label, found in known if found]
    files = [f"{file.get('path')} ({text.size(file.get('size'))})" for file in code.document.get("files") or ()]
    kept = "files that no commit has" if code.commit else "files"
    return [*facts, *([(kept, ", ".join(files))] if files else [])]


def _diff(source: Source, code: CodeRow | None, store: str | None) -> tuple[list[Line], str]:
    """What the commit did not have, by lines, and a word where it is cut or cannot be read."""
    found = code.document.get("diff") if code else None
    if not found:
        return [], ""
    try:
        content = beginning(str(found["sha256"]), store, source.artifacts, MOST_DIFF_BYTES)
    except SweeperError as error:
        return [], str(error)
    cut = int(found.get("size", 0)) > MOST_DIFF_BYTES
    note = f"the first {text.size(MOST_DIFF_BYTES)} of {text.size(found['size'])}" if cut else ""
    return [Line(text.printable(line), _look(line)) for line in content.splitlines()], note


def _look(line: str) -> str:
    if line.startswith(("+++", "---", "diff ", "index ", "@@")):
        return "where"
    return "added" if line.startswith("+") else "gone" if line.startswith("-") else ""


def _packages(run: RunRow, document: Mapping[str, Any]) -> Table | None:
    packages = document.get("packages")
    if not isinstance(packages, Mapping) or not packages:
        return None
    rows = [[words(name), words(str(version))] for name, version in sorted(packages.items())]
    return Table(f"{len(rows)} packages", (Column("package"), Column("version")), rows, **_forms("/api/packages", run))


def _pairs(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(key, text.value(found)) for key, found in flattened(document)]
