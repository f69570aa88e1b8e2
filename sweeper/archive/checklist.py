"""The reproducibility checklist of a run, filled in from what is on record.

Its questions are those of the ACL and NeurIPS checklists: bounds of each parameter, number of runs, method and
criterion of choice, mean and spread, hardware, total compute with failed runs (Dodge et al. 2019, "Show Your Work").
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sweeper import text
from sweeper.compare.comparison import Side
from sweeper.history import CostRow, DataRow, History, SweepRow

_UNKNOWN = "not on record"
_ENDED = {"FAIL": "failed"}


def checklist(history: History, side: Side) -> str:
    """Markdown: a question, and the answer that the record gives; what it does not know it says."""
    study = side.study
    sweeps = history.sweeps(study.name)
    looks = history.test_looks(study.name)
    costs = history.costs(study.name)
    sections: list[tuple[str, Iterable[str]]] = [
        ("Search space: the bounds of each parameter", _bounds(history.space(study.name))),
        ("Number of runs", _counts(study.counts)),
        ("Method of choosing values", _methods(sweeps)),
        ("Criterion of choice", _criteria(side)),
        ("Result, mean and spread", _spread(side, history)),
        ("Seeds", [f"this run: {side.run.seed}", *_sweep_seeds(sweeps)]),
        ("Data", _data(history.data(side.run.run))),
        (
            "Test data",
            [text.looks(looks.looks, looks.trials) if looks.looks else "not looked at"],
        ),
        ("Code", _code(side)),
        ("Software", _software(side)),
        ("Hardware", _hardware(side)),
        ("Total compute, failed runs included", _compute(costs)),
        ("Known gaps", list(side.run.gaps) or ["none"]),
    ]
    lines = [f"# Reproducibility checklist: {side.name}", ""]
    for title, answers in sections:
        lines += [f"## {title}", "", *(f"- {answer}" for answer in answers), ""]
    return "\n".join(lines)


def _bounds(space: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    yield from (f"`{name}`: {text.domain(distribution)}" for name, distribution in space.items())
    if not space:
        yield "nothing was searched"


def _counts(counts: Mapping[str, int]) -> Iterable[str]:
    parts = ", ".join(f"{n} {_ENDED.get(state, state.lower())}" for state, n in counts.items() if n)
    yield f"{text.count(sum(counts.values()), 'trial')}: {parts}"


def _methods(sweeps: Sequence[SweepRow]) -> Iterable[str]:
    for sweep in sweeps:
        yield f"{sweep.sampler} with {sweep.pruner}, launched as `{sweep.command}`"
    if not sweeps:
        yield _UNKNOWN


def _criteria(side: Side) -> Iterable[str]:
    for name, direction in zip(side.study.objectives, side.study.directions, strict=True):
        yield f"{direction} `{name}`, the value that the task returns"
    if side.study.best_number is not None:
        is_best = " (this run)" if side.study.best_number == side.trial.number else ""
        yield f"best of the study: trial {side.study.best_number}{is_best} with {side.study.best_value}"


def _spread(side: Side, history: History) -> Iterable[str]:
    """Over trials of the same parameters, which differ by their seeds, and over the study."""
    same = history.replicates(side.study.name, side.trial.number)
    everything = history.trials(side.study.name, states=("COMPLETE",))
    for i, name in enumerate(side.study.objectives):
        if side.trial.values is None:
            yield f"`{name}`: this run has no value"
            continue
        yield f"`{name}`: {side.trial.values[i]} in this run"
        for what, rows in (("runs of these parameters", same), ("complete trials of the study", everything)):
            values = [row.values[i] for row in rows if row.values and math.isfinite(row.values[i])]
            if len(values) > 1:
                mean, sd = statistics.fmean(values), statistics.stdev(values)
                yield f"`{name}` over {len(values)} {what}: {mean:.6g} ± {sd:.2g} (mean ± standard deviation)"
    if len(same) < 2:
        yield "these parameters ran once: how far another seed moves the result is unknown"


def _sweep_seeds(sweeps: Sequence[SweepRow]) -> Iterable[str]:
    for sweep in sweeps:
        yield f"the sampler's, in the sweep {sweep.sweep[:8]}: {sweep.settings.get('seed', _UNKNOWN)}"


def _data(rows: Sequence[DataRow]) -> Iterable[str]:
    for row in rows:
        yield f"`{row.name}`: {text.count(row.files, 'file')}, {row.size} bytes, sha256 {row.sha256 or row.error}"
    if not rows:
        yield f"{_UNKNOWN}: the code does not call `sweeper.use_data`"


def _code(side: Side) -> Iterable[str]:
    if side.code is None:
        yield _UNKNOWN
        return
    code = side.code
    yield f"commit {code.commit or 'none'} of {code.remote or 'no remote'}, branch {code.branch or 'none'}"
    yield "with uncommitted changes, which are in `code/`" if side.code.is_dirty else "without uncommitted changes"


def _software(side: Side) -> Iterable[str]:
    if side.environment is None:
        yield _UNKNOWN
        return
    document = side.environment.document
    python, system = document.get("python", {}), document.get("system", {})
    yield f"Python {_of(python, 'version')} on {_of(system, 'distribution')}, kernel {_of(system, 'kernel')}"
    packages = document.get("packages")
    yield f"{len(packages) if isinstance(packages, Mapping) else 0} packages, each with its version in `packages.txt`"


def _hardware(side: Side) -> Iterable[str]:
    if side.environment is None:
        yield _UNKNOWN
        return
    document = side.environment.document
    yield f"CPU: {_of(document.get('cpu', {}), 'model')}, {_of(document.get('cpu', {}), 'usable')} cores usable"
    memory = _of(document.get("memory", {}), "total_bytes")
    yield f"main memory: {memory / 2**30:.1f} GiB" if isinstance(memory, int) else f"main memory: {memory}"
    gpus = document.get("gpus", {})
    visible = gpus.get("visible", []) if isinstance(gpus, Mapping) else []
    for gpu in visible:
        yield f"GPU: {gpu.get('name')}, driver {_of(gpus, 'driver')}, CUDA {_of(gpus, 'cuda_driver')}"
    if not visible:
        yield "no GPU"


def _compute(costs: Sequence[CostRow]) -> Iterable[str]:
    for cost in costs:
        runs = text.count(cost.runs, f"{_ENDED.get(cost.state, cost.state.lower())} run")
        yield f"{runs}: {_cost(cost.runtime_s, cost.gpu_s)}"
    total = _cost(sum(cost.runtime_s for cost in costs), sum(cost.gpu_s for cost in costs))
    yield f"in all {text.count(sum(cost.runs for cost in costs), 'run')}: {total}"


def _cost(runtime_s: float, gpu_s: float) -> str:
    return f"{text.duration(runtime_s)} of running, {gpu_s / 3600:.3g} GPU-hours"


def _of(found: Any, key: str) -> Any:
    return found.get(key, _UNKNOWN) if isinstance(found, Mapping) else _UNKNOWN
