"""A run as one zip file that needs neither its database nor its store: to keep, to publish, to run again elsewhere.

    README.md        what this is and how to run it again
    CHECKLIST.md     the reproducibility checklist, filled in
    run.json         all that is on record of the run
    config.yaml      its resolved config, secrets masked
    packages.txt     every installed distribution with its version
    metrics.csv      every point of every metric
    code/            the code as it ran
    files/           the files that the run keeps, by name
    record.db        an SQLite database with this trial, and what others of the same parameters gave
    store/           the artifact store that record.db names, with what rebuilding the code takes
    SHA256SUMS       a line for each of these; `sha256sum -c SHA256SUMS` checks them

`unpack` checks every hash and gives a database and a store: whatever works with those works with a bundle.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from sweeper.archive.checklist import checklist
from sweeper.archive.files import checked_copy, store_for
from sweeper.compare.comparison import Side, side_of
from sweeper.errors import ArtifactError, ConfigError, NotFound, ProvenanceError
from sweeper.history import FINISHED, History, TrialName
from sweeper.provenance.artifact import checked_name
from sweeper.provenance.code import blobs
from sweeper.provenance.rebuild import rebuild
from sweeper.provenance.secret import masked
from sweeper.provenance.store import FolderStore
from sweeper.record.extract import extract

_SUMS = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A bundle in a folder: the URLs of its database and store, and the trial that is in them."""

    url: str
    artifacts: str
    trial: TrialName


@dataclass(frozen=True, slots=True)
class Bundled:
    """What a bundle holds, and what it could not: each with the reason."""

    files: int
    left_out: tuple[str, ...]


def bundle(history: History, name: TrialName, target: Path, store_url: str | None) -> Bundled:
    """Write a run with all that it takes to run it again to a zip file, which must not exist.

    What is not to be had (a file that was removed from the store) is left out and said. Raises NotFound, ConfigError.
    """
    if target.exists():
        raise ConfigError(f"{target} is there already: remove it, or give the bundle another name")
    side = side_of(history, str(name))
    if side.trial.state not in FINISHED:
        raise ConfigError(f"{name} is {side.trial.state.lower()}: a trial can be bundled once it has ended")
    with tempfile.TemporaryDirectory(prefix="sweeper-bundle-") as temporary:
        folder = Path(temporary) / "bundle"
        folder.mkdir()
        left_out = [*_write_code(side, folder, store_url), *_write_files(history, side, folder, store_url)]
        _write_record(history, side, folder)
        replicates = [trial.number for trial in history.replicates(name.study, name.number)]
        with history.connected() as connection:
            extract(connection, name, replicates, folder / "record.db", "store")
        _write_readme(side, folder, left_out)
        return Bundled(_zip(folder, target), tuple(left_out))


def unpack(path: Path, folder: Path) -> Unpacked:
    """Unpack a bundle into a folder that is new or empty, every hash checked.

    Raises ArtifactError where the file is no bundle, is damaged, or holds what is not listed in it.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty: give the bundle a folder of its own")
    try:
        with zipfile.ZipFile(path) as file:
            sums = _sums(file)
            for name, sha256 in sums.items():
                place = folder / checked_name(name)
                place.parent.mkdir(parents=True, exist_ok=True)
                with file.open(name) as content, place.open("xb") as out:
                    checked_copy(content, out, sha256, f"{path}: {name}")
            run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (zipfile.BadZipFile, KeyError, OSError, ValueError) as error:
        raise ArtifactError(f"{path} is no bundle of sweeper ({error}): make one with `sweeper bundle`") from error
    return Unpacked(f"sqlite:///{folder / 'record.db'}", str(folder / "store"), TrialName(run["study"], run["number"]))


def _sums(file: zipfile.ZipFile) -> dict[str, str]:
    found = {}
    for line in file.read(_SUMS).decode("utf-8").splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"{_SUMS} cannot be read")
        found[match[2]] = match[1]
    if {"run.json", "record.db"} - found.keys():
        raise ValueError(f"{_SUMS} names no record")
    return found


def _write_code(side: Side, folder: Path, store_url: str | None) -> Iterator[str]:
    """The tree as it ran, and the blobs that it is rebuilt from."""
    if side.code is None:
        yield "the code: it is not on record"
        return
    try:
        store = store_for(side.store, store_url)
        rebuild(side.code.document, store, folder / "code")
        inside = FolderStore(folder / "store")
        for sha256 in sorted(blobs(side.code.document)):
            with store.open(sha256) as content:
                inside.put_soon(content)
    except (ArtifactError, NotFound, ProvenanceError) as error:
        yield f"the code: {error}"


def _write_files(history: History, side: Side, folder: Path, store_url: str | None) -> Iterator[str]:
    for row in history.artifacts(side.run.run):
        try:
            if row.sha256 is None:
                raise NotFound(f"it could not be kept when it was saved: {row.error}")
            place = folder / "files" / checked_name(row.name)
            place.parent.mkdir(parents=True, exist_ok=True)
            with store_for(row.store, store_url).open(row.sha256) as content, place.open("xb") as out:
                checked_copy(content, out, row.sha256, row.name)
        except (ArtifactError, NotFound) as error:
            yield f"files/{row.name}: {error}"


def _write_record(history: History, side: Side, folder: Path) -> None:
    run, curves = side.run, history.curves(side.run.run)
    record: dict[str, Any] = {
        **asdict(run),
        "params": dict(side.trial.params),
        "values": dict(zip(side.study.objectives, side.trial.values or (), strict=False)),
        "directions": dict(zip(side.study.objectives, side.study.directions, strict=True)),
        "metrics": history.last_metrics(run.run),
        "test_metrics": {name: asdict(test) for name, test in history.test_metrics(run.run).items()},
        "artifacts": [asdict(row) for row in history.artifacts(run.run)],
        "data": [asdict(row) for row in history.data(run.run)],
        "code_document": None if side.code is None else side.code.document,
        "environment_document": None if side.environment is None else side.environment.document,
        "sweep_row": asdict(history.sweep(run.sweep)),
    }
    _write(folder / "run.json", json.dumps(masked(record), indent=1, default=str))
    _write(folder / "config.yaml", yaml.safe_dump(_plain(run.config), sort_keys=False, allow_unicode=True))
    packages = {} if side.environment is None else side.environment.document.get("packages", {})
    if isinstance(packages, dict):
        _write(folder / "packages.txt", "".join(f"{name}=={version}\n" for name, version in packages.items()))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "step", "value", "time"])
    for name, curve in curves.items():
        writer.writerows((name, *point) for point in zip(curve.steps, curve.values, curve.times, strict=True))
    _write(folder / "metrics.csv", text.getvalue())
    _write(folder / "CHECKLIST.md", checklist(history, side))


def _write_readme(side: Side, folder: Path, left_out: list[str]) -> None:
    missing = "".join(f"- {line}\n" for line in left_out) or "- nothing\n"
    layout = (__doc__ or "").partition("\n\n")[2].partition("\n\n")[0]
    text = (
        f"# {side.name}\n\nA run of the study {side.study.name}, bundled by sweeper. To run it again:\n\n"
        f"    sweeper reproduce BUNDLE.zip\n\n{layout}\n\nNot in it:\n\n{missing}"
    )
    _write(folder / "README.md", text)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="")


def _plain(config: object) -> Any:
    return json.loads(json.dumps(config, default=str))


def _zip(folder: Path, target: Path) -> int:
    """Pack a folder, with the sums first; beside the target and then moved. Gives the number of files."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    named = {path.relative_to(folder).as_posix(): path for path in paths}
    names = {name: path for name, path in named.items() if name.isprintable()}  # the store has the others all the same
    lines = []
    for name, path in names.items():
        with path.open("rb") as content:
            lines.append(f"{hashlib.file_digest(content, 'sha256').hexdigest()}  {name}\n")
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.part")
    try:
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(zipfile.ZipInfo(_SUMS), "".join(lines))
            for name, path in names.items():
                with path.open("rb") as content, file.open(name, "w", force_zip64=True) as out:
                    shutil.copyfileobj(content, out, 1 << 20)
        beside.rename(target)
    finally:
        beside.unlink(missing_ok=True)
    return len(names)
