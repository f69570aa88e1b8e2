"""Runs side by side: reads what is on record of each and finds what differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sweeper.compare.curve import MetricRow, metric_rows
from sweeper.compare.difference import (
    ABSENT,
    SECTIONS,
    Difference,
    config_differences,
    determinism_differences,
    environment_differences,
    ranked,
)
from sweeper.errors import ConfigError, NotFound
from sweeper.history import CodeRow, EnvironmentRow, History, RunRow, StudyRow, TrialDetail, TrialName

_FILES = 3  # that no commit has, by name
_REPORTED = "objective"  # the metric that holds what training code gave to `sweeper.report`


@dataclass(frozen=True, slots=True)
class Side:
    """One of the runs that are compared, with all that is on record of it."""

    name: str
    study: StudyRow
    trial: TrialDetail
    run: RunRow
    code: CodeRow | None
    environment: EnvironmentRow | None
    store: str | None  # URL of the artifact store that has its code and files

    @property
    def per_gpu_hour(self) -> float | None:
        """The one objective, where more of it is better, for each hour on a card."""
        if not self.run.gpu_seconds or not self.trial.values or self.study.directions != ("maximize",):
            return None
        return self.trial.values[0] / (self.run.gpu_seconds / 3600)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between runs."""

    sides: tuple[Side, ...]
    headline: str  # what is the same and what is not, in a sentence
    all: tuple[Difference, ...]  # every key, also where the runs agree; most telling first
    metrics: tuple[MetricRow, ...]

    @property
    def differences(self) -> tuple[Difference, ...]:
        """The keys in which the runs differ, most telling first."""
        return tuple(row for row in self.all if not row.is_equal)

    @property
    def has_other_code(self) -> bool:
        """Whether two runs have code on record that differs."""
        return len({side.run.code for side in self.sides if side.run.code is not None}) > 1

    @property
    def parting(self) -> MetricRow | None:
        """The metric whose curves part first; None where all that are common are the same."""
        return next((row for row in self.metrics if row.parts_at is not None), None)


def compare(history: History, names: Sequence[str]) -> Comparison:
    """Compare trials, each by its newest run. Raises NotFound, and ConfigError for fewer than two."""
    if len(names) < 2:
        raise ConfigError("one run cannot be compared: name two or more, such as digits/17 digits/3")
    studies = {study: history.study(study) for study in {TrialName.parse(name).study for name in names}}
    sides = [side_of(history, name, studies) for name in names]
    rows = ranked([*_config(sides), *_code(sides), *_data(history, sides), *_others(sides)])
    directions: dict[str, str] = {}
    for side in sides:
        directions |= dict(zip(side.study.objectives, side.study.directions, strict=True))
        if len(side.study.directions) == 1:
            directions[_REPORTED] = side.study.directions[0]
    metrics = metric_rows([history.curves(side.run.run) for side in sides], directions)
    return Comparison(tuple(sides), _headline(sides, rows), tuple(rows), tuple(metrics))


def side_of(history: History, name: str, studies: Mapping[str, StudyRow] | None = None) -> Side:
    """A trial's newest run with all that is on record of it, of studies that may have been read. Raises NotFound."""
    parsed = TrialName.parse(name)
    trial = history.trial(parsed.study, parsed.number)
    if not trial.runs:
        raise NotFound(f"{name} was not run by sweeper: only its parameters are on record, see `sweeper show {name}`")
    run = trial.runs[-1]
    return Side(
        name=str(parsed),
        study=(studies or {}).get(parsed.study) or history.study(parsed.study),
        trial=trial,
        run=run,
        code=None if run.code is None else history.code(run.code),
        environment=None if run.environment is None else history.environment(run.environment),
        store=next((sweep.artifacts for sweep in history.sweeps(run.study) if sweep.sweep == run.sweep), None),
    )


def _config(sides: Sequence[Side]) -> list[Difference]:
    params = [name for side in sides for name in side.trial.params]
    return config_differences([side.run.config for side in sides], params)


def _code(sides: Sequence[Side]) -> list[Difference]:
    if all(side.code is None for side in sides):
        return []
    facts: dict[str, Callable[[CodeRow], object]] = {
        "commit": lambda code: code.commit,
        "uncommitted changes": _state_of,
        "branch": lambda code: code.branch,
        "remote": lambda code: code.remote,
        "entry": lambda code: code.document.get("entry", ABSENT),
    }
    rows = [
        Difference("code", key, tuple(ABSENT if side.code is None else fact(side.code) for side in sides))
        for key, fact in facts.items()
    ]
    return [*rows, Difference("code", "files imported that differ from it", tuple(list(s.run.drift) for s in sides))]


def _state_of(code: CodeRow) -> str:
    """A name for what the commit does not have: the diff and the untracked files."""
    if not code.is_dirty:
        return "none"
    files = [str(file.get("path")) for file in code.document.get("files", ())]
    words = ["a diff"] if code.document.get("diff") else []
    words += files[:_FILES] + ([f"{len(files) - _FILES} more files"] if len(files) > _FILES else [])
    return f"{', '.join(words)} ({code.code[:8]})".lstrip()


def _data(history: History, sides: Sequence[Side]) -> list[Difference]:
    found = [{row.name: row.sha256 or f"not read: {row.error}" for row in history.data(side.run.run)} for side in sides]
    names = dict.fromkeys(name for rows in found for name in rows)
    return [Difference("data", name, tuple(rows.get(name, ABSENT) for rows in found)) for name in names]


def _others(sides: Sequence[Side]) -> list[Difference]:
    runs = [side.run for side in sides]
    rows = [
        Difference("seed", "seed", tuple(run.seed for run in runs)),
        Difference("place", "node", tuple(run.node for run in runs)),
        Difference("place", "GPU UUIDs", tuple(list(run.gpus) for run in runs)),
        Difference("place", "attempt", tuple(run.attempt for run in runs)),
    ]
    if any(side.environment for side in sides):
        rows += environment_differences([side.environment.document if side.environment else {} for side in sides])
    if any(run.determinism for run in runs):
        rows += [row for row in determinism_differences([run.determinism for run in runs]) if not _is_seed(row, runs)]
    return rows


def _is_seed(row: Difference, runs: Sequence[RunRow]) -> bool:
    """Whether a generator's seed is the run's own, which is told already."""
    return row.key.startswith("seeds.") and row.values == tuple(run.seed for run in runs)


def _headline(sides: Sequence[Side], rows: Sequence[Difference]) -> str:
    """Which sections agree, which do not, and which say nothing because they are not on record."""
    differing = [section for section in SECTIONS[:-1] if any(r.section == section and not r.is_equal for r in rows)]
    known = {row.section for row in rows}
    same = [section for section in SECTIONS[:-1] if section in known and section not in differing]
    unknown = [section for section in ("code", "packages") if section not in known]
    text = f"the same: {', '.join(same) or 'nothing'}; different: {', '.join(differing) or 'nothing'}"
    if unknown:
        text += f"; not on record: {', '.join(unknown)}"
    if not differing and not unknown and any(side.trial.values != sides[0].trial.values for side in sides):
        text += ". Everything on record is the same and the scores are not: what is left is nondeterminism"
    return text
