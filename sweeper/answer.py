"""What programs are told of a study, a trial, a comparison: one shape for `--json`, `--csv` and the site's /api."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sweeper import text
from sweeper.machine import record

if TYPE_CHECKING:
    from sweeper.compare import Comparison, Difference
    from sweeper.compare.comparison import Side
    from sweeper.history import History, TrialName


def study(history: History, name: str) -> dict[str, object]:
    """A study at a glance, with its space and its launches."""
    return {
        **record(history.study(name)),
        "failures": history.failures(name),
        "test_looks": record(history.test_looks(name)),
        "space": history.space(name),
        "launches": [record(sweep) for sweep in history.sweeps(name)],
    }


def trials(history: History, name: str) -> list[dict[str, object]]:
    """A record for each trial of a study, its values by the names of the objectives."""
    objectives = history.study(name).objectives
    records = [record(trial) for trial in history.trials(name)]
    return [{**found, "values": dict(zip(objectives, found["values"] or (), strict=False))} for found in records]


def trial(history: History, name: TrialName) -> dict[str, object]:
    """The whole record of a trial, and the last metrics and the files of each of its runs."""
    found = record(history.trial(name.study, name.number))
    for run in found["runs"]:
        run["metrics"] = history.last_metrics(run["run"])
        run["test_metrics"] = {name: record(test) for name, test in history.test_metrics(run["run"]).items()}
        run["artifacts"] = [record(row) for row in history.artifacts(run["run"])]
        run["data"] = [record(row) for row in history.data(run["run"])]
    tags, note = history.tags(name.study).get(name.number, ()), history.note(name.study, name.number)
    return {"study": name.study, **found, "tags": tags, "note": note}


def points(history: History, name: TrialName) -> list[dict[str, object]]:
    """Every point of every metric of a trial's runs."""
    return [
        {"run": run.run, "name": metric, "step": step, "value": value, "time": text.iso(moment)}
        for run in history.trial(name.study, name.number).runs
        for metric, curve in history.curves(run.run).items()
        for step, value, moment in zip(curve.steps, curve.values, curve.times, strict=True)
    ]


def comparison(found: Comparison, rows: Sequence[Difference]) -> dict[str, object]:
    """A comparison with these of its keys."""
    parting = found.parting
    return {
        "runs": [_side(side) for side in found.sides],
        "headline": found.headline,
        "parts_at": None if parting is None else {"step": parting.parts_at, "metric": parting.name},
        "differences": [
            {
                "section": row.section,
                "key": row.key,
                "is_param": row.is_param,
                "values": [_plain(value) for value in row.values],
                "present": [not _is_absent(value) for value in row.values],
            }
            for row in rows
        ],
        "metrics": [record(row) for row in found.metrics],
    }


def comparison_rows(found: Comparison, rows: Sequence[Difference]) -> Iterable[dict[str, object]]:
    """The same as flat rows: metrics first, a column for each run."""
    names = [side.name for side in found.sides]
    for metric in found.metrics:
        for what, values in (("last", metric.last), ("best", metric.best)):
            yield {"section": f"metric {what}", "key": metric.name, **dict(zip(names, values, strict=True))}
    for row in rows:
        cells = [_plain(value) for value in row.values]
        yield {"section": row.section, "key": row.key, **dict(zip(names, cells, strict=True))}


def _side(side: Side) -> dict[str, object]:
    return {
        "name": side.name,
        "run": side.run.run,
        "attempt": side.run.attempt,
        "state": side.trial.state,
        "values": side.trial.values,
        "runtime_s": side.run.runtime_s,
        "peak_rss_bytes": side.run.peak_rss_bytes,
        "peak_gpu_memory_bytes": side.run.peak_gpu_memory_bytes,
        "gpu_seconds": side.run.gpu_seconds,
        "energy_j": side.run.energy_j,
        "objective_per_gpu_hour": side.per_gpu_hour,
    }


def _plain(value: Any) -> Any:
    return None if _is_absent(value) else value


def _is_absent(value: Any) -> bool:
    from sweeper.compare import ABSENT

    return value is ABSENT
