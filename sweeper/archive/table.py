"""A study as one table: a flat row for each trial, the same for exports and data frames.

Columns: study, number, state, `value.NAME` for each objective, `params.NAME`, `metrics.NAME` (last values),
`tests.NAME`, then seed, times, costs, where and of what it was run, tags, and `config.KEY` for the whole config.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any

from sweeper.history import Record, RunRow


def flat(record: Record) -> dict[str, Any]:
    """One trial as one row: plain values of Python, times with their zone; lists and empty mappings as JSON."""
    trial = record.trial
    row: dict[str, Any] = {"study": record.study, "number": trial.number, "state": trial.state}
    row |= {f"value.{name}": value for name, value in record.objectives.items()}
    row |= {f"params.{name}": value for name, value in trial.params.items()}
    row |= {f"metrics.{name}": value for name, value in record.metrics.items()}
    row |= {f"tests.{name}": value for name, value in record.test_metrics.items()}
    row |= {"started_at": _moment(trial.started_at), "ended_at": _moment(trial.ended_at), "tags": " ".join(record.tags)}
    return row if record.run is None else row | _of_run(record.run)


def columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The columns of all rows: those of a kind together, in the order in which they first come."""
    seen = dict.fromkeys(key for row in rows for key in row)
    kinds = list(dict.fromkeys(key.partition(".")[0] for key in seen))
    return sorted(seen, key=lambda key: kinds.index(key.partition(".")[0]))


def _of_run(run: RunRow) -> dict[str, Any]:
    row: dict[str, Any] = {
        "failure": run.failure,
        "error": run.error,
        "seed": run.seed,
        "attempt": run.attempt,
        "runtime_s": run.runtime_s,
        "peak_rss_bytes": run.peak_rss_bytes,
        "peak_gpu_memory_bytes": run.peak_gpu_memory_bytes,
        "gpu_seconds": run.gpu_seconds,
        "energy_j": run.energy_j,
        "node": run.node,
        "gpus": " ".join(run.gpus),
        "run": run.run,
        "sweep": run.sweep,
        "environment": run.environment,
        "code": run.code,
        "completeness": run.completeness,
        "folder": run.folder,
    }
    _flatten(run.config, "config.", row)
    return row


def _flatten(found: Mapping[str, Any], prefix: str, into: dict[str, Any]) -> None:
    """Put what a config holds into a row, by dotted keys. A study has millions of such cells: nothing is made twice."""
    for key, value in found.items():
        if isinstance(value, dict) and value:
            _flatten(value, f"{prefix}{key}.", into)
        elif isinstance(value, (dict, list)):
            into[f"{prefix}{key}"] = json.dumps(value)
        else:
            into[f"{prefix}{key}"] = value


def _moment(time: float | None) -> datetime.datetime | None:
    return None if time is None else datetime.datetime.fromtimestamp(time, datetime.UTC)
