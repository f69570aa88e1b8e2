"""Our rows within one transaction: runs and their metric points."""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from sqlalchemy import Connection, bindparam, func, or_, select, update

from sweeper.record.points import Curve, write_points
from sweeper.record.statement import execute_all, insert_if_absent
from sweeper.record.tables import environments, metrics, runs
from sweeper.trial import Ended, Logged, Metered

_NAME_LENGTH = 512
_STEP_LIMIT = 2**63
_TOTALS = ("peak_gpu_memory_bytes", "gpu_memory_basis", "gpu_seconds", "energy_j")
_IDS_OF_RUNS = select(runs.c.run, runs.c.id).where(runs.c.run.in_(bindparam("runs", expanding=True)))
_LAST_STEP = select(func.max(metrics.c.step)).where(
    metrics.c.run_id == bindparam("run_id"), metrics.c.name.not_like("system/%")
)
_STARTED = update(runs).where(runs.c.id == bindparam("run_id"))
_ENDED = update(runs).where(
    runs.c.id == bindparam("run_id"),
    or_(runs.c.ended_seq.is_(None), runs.c.ended_seq < bindparam("event_seq")),
)
_METERED = update(runs).where(  # totals never fall: those of the longer time are the later ones
    runs.c.id == bindparam("run_id"),
    or_(runs.c.gpu_seconds.is_(None), runs.c.gpu_seconds <= bindparam("gpu_seconds_so_far")),
)
_CAPTURED = update(runs).where(
    runs.c.id == bindparam("run_id"),
    or_(runs.c.captured_seq.is_(None), runs.c.captured_seq < bindparam("event_seq")),
)


class RunRows:
    """The part of a transaction that runs and their points have in it."""

    is_pipelined: ClassVar[bool] = False

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.ids: dict[str, int] = {}  # of the runs asked for, as far as they are on record
        self._wanted: set[str] = set()
        self._started: list[dict[str, Any]] = []
        self._captured: list[dict[str, Any]] = []
        self._environments: dict[str, dict[str, Any]] = {}
        self._ended: list[dict[str, Any]] = []
        self._metered: list[dict[str, Any]] = []
        self._curves: dict[tuple[int, str], Curve] = defaultdict(Curve)
        self._last_steps: dict[int, int] = {}

    def want(self, run: str) -> None:
        """Events of this run are about to be written."""
        self._wanted.add(run)

    def fetch(self) -> None:
        if self._wanted:
            found = self.connection.execute(_IDS_OF_RUNS, {"runs": sorted(self._wanted)})
            self.ids.update(found.all())

    def started(self, run_id: int, columns: Mapping[str, object]) -> None:
        self._started.append({"run_id": run_id, **columns})

    def captured(self, run_id: int, seq: int, columns: Mapping[str, object]) -> None:
        self._captured.append({"run_id": run_id, "event_seq": seq, "captured_seq": seq, **columns})

    def environment(self, environment: str, document: str, time: float) -> None:
        row = {"environment": environment, "document": document, "captured_at": time}
        self._environments.setdefault(environment, row)

    def ended(self, run_id: int, seq: int, columns: Mapping[str, object]) -> None:
        self._ended.append({"run_id": run_id, "event_seq": seq, "ended_seq": seq, **columns})

    def metered(self, run_id: int, event: Metered | Ended) -> None:
        """What a run has used of its cards so far, or in all; the steps of its points are none of training's."""
        if isinstance(event, Metered):
            self._add_points(run_id, event.step, event.metrics, event.time, event.seq)
        totals = {name: getattr(event, name) for name in _TOTALS}
        self._metered.append({"run_id": run_id, "gpu_seconds_so_far": event.gpu_seconds, **totals})

    def measured(self, run_id: int, step: int, values: Mapping[str, float], time: float, seq: int) -> None:
        """Metrics at one step; a name or step that no table holds is brought to one that it does hold."""
        step = bounded_step(step)
        self._last_steps[run_id] = max(self._last_steps.get(run_id, step), step)
        self._add_points(run_id, step, values, time, seq)

    def logged(self, run_id: int, event: Logged) -> None:
        """The same for many at once."""
        for series in event.series:
            steps = list(map(bounded_step, series.steps))
            self._last_steps[run_id] = max(self._last_steps.get(run_id, steps[0]), *steps)
            for place, name in enumerate(series.names):
                values = series.values[place :: len(series.names)]
                self._curves[run_id, bounded_name(name)].extend(steps, values, series.times, series.seqs)

    def _add_points(self, run_id: int, step: int, values: Mapping[str, float], time: float, seq: int) -> None:
        for name, value in values.items():
            self._curves[run_id, bounded_name(name)].extend((step,), (float(value),), (time,), (seq,))

    def last_step(self, run_id: int) -> int:
        """The greatest step of a run's points, in the database or in this transaction; 0 without points."""
        stored = self.connection.execute(_LAST_STEP, {"run_id": run_id}).scalar()
        known = [step for step in (stored, self._last_steps.get(run_id)) if step is not None]
        return max(known, default=0)

    def flush(self) -> None:
        execute_all(self.connection, _STARTED, self._started)
        self._flush_captured()
        execute_all(self.connection, _ENDED, self._ended)
        execute_all(self.connection, _METERED, self._metered)
        write_points(self.connection, self._curves)

    def _flush_captured(self) -> None:
        for row in self._environments.values():
            dialect = self.connection.dialect.name
            statement = insert_if_absent(dialect, environments, "environment", key=("environment",))
            self.connection.execute(statement, row)
        for moment in ("determinism", "determinism_at_end"):
            execute_all(self.connection, _CAPTURED, [row for row in self._captured if moment in row])


@functools.lru_cache(maxsize=4096)
def bounded_name(name: str) -> str:
    """A name as the tables hold it."""
    return text(name)[:_NAME_LENGTH]


def bounded_step(step: int) -> int:
    """A step as the tables hold it."""
    return step if -_STEP_LIMIT <= step < _STEP_LIMIT else max(-_STEP_LIMIT, min(step, _STEP_LIMIT - 1))


def text(value: str) -> str:
    """What both engines store: no NUL, no half of a surrogate pair."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


def json_text(value: object) -> str:
    """JSON as Python reads it back, NaN and infinities included, keys sorted."""
    return json.dumps(_with_text_keys(value), sort_keys=True, default=str)


def _with_text_keys(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _with_text_keys(item) for key, item in value.items()}
    if isinstance(value, Collection) and not isinstance(value, str | bytes):
        return [_with_text_keys(item) for item in value]
    return value
