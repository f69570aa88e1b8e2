"""Our rows within one transaction: what runs keep, what they read, and their looks at the test data.

Files that training code chose to keep are shown to Optuna too, as the system attributes of the trial that
`optuna.artifacts.get_all_artifact_meta` and optuna-dashboard read.
"""

from __future__ import annotations

import json
import mimetypes
from typing import Any, ClassVar

from sqlalchemy import Connection, Table, select

from sweeper.record.optuna_rows import OptunaRows, studies, trial_system_attrs, trials
from sweeper.record.run_rows import bounded_name, text
from sweeper.record.statement import execute_all, upsert
from sweeper.record.tables import artifacts, data, runs, test_metrics
from sweeper.trial import Looked, Saved, Used

_OPTUNA_PREFIX = "artifacts:"
_UNKNOWN_TYPE = "application/octet-stream"


class KeptRows:
    """The part of a transaction that artifacts, data and test metrics have in it."""

    is_pipelined: ClassVar[bool] = False

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._artifacts: list[dict[str, Any]] = []
        self._data: list[dict[str, Any]] = []
        self._test_metrics: list[dict[str, Any]] = []

    def fetch(self) -> None:
        pass

    def saved(self, run_id: int, event: Saved, optuna: OptunaRows) -> None:
        """A file; Optuna is shown it under a name of the file's own, so that removing it there removes a link."""
        row = _plain(event, "kind", "size", "sha256", "error")
        self._artifacts.append({"run_id": run_id, "name": bounded_name(event.name), **row})
        if event.shown_as is None:
            return
        trial_id = self._trial_of(run_id)
        if trial_id is not None:
            value = json.dumps(json.dumps(_for_optuna(event)))  # twice: Optuna keeps it as a text
            optuna.put(trial_system_attrs, trial_id, _OPTUNA_PREFIX + event.shown_as, {"value_json": value})

    def used(self, run_id: int, event: Used) -> None:
        row = _plain(event, "url", "files", "size", "sha256", "manifest", "error")
        self._data.append({"run_id": run_id, "name": bounded_name(event.name), **row})

    def tested(self, run_id: int, event: Looked) -> None:
        for name, value in event.metrics.items():
            row = {"step": event.step, "value": value if value == value else None, "time": event.time}
            self._test_metrics.append({"run_id": run_id, "seq": event.seq, "name": bounded_name(name), **row})

    def flush(self) -> None:
        self._write(artifacts, self._artifacts, "kind", "size", "sha256", "error", "time", "seq")
        self._write(data, self._data, "url", "files", "size", "sha256", "manifest", "error", "time", "seq")
        if self._test_metrics:
            statement = upsert(self.connection.dialect.name, test_metrics, "step", "value", "time")
            execute_all(self.connection, statement, self._test_metrics)

    def _write(self, table: Table, rows: list[dict[str, Any]], *columns: str) -> None:
        if rows:
            statement = upsert(self.connection.dialect.name, table, *columns, later="seq")
            execute_all(self.connection, statement, rows)

    def _trial_of(self, run_id: int) -> int | None:
        """The id of the run's trial in Optuna's tables, unless Optuna has deleted it."""
        query = (
            select(trials.c.trial_id)
            .join(studies, studies.c.study_id == trials.c.study_id)
            .join(runs, (runs.c.study == studies.c.study_name) & (runs.c.number == trials.c.number))
        )
        found: int | None = self.connection.execute(query.where(runs.c.id == run_id)).scalar()
        return found


def _plain(event: Saved | Used, *columns: str) -> dict[str, object]:
    values = {name: getattr(event, name) for name in (*columns, "time", "seq")}
    return {name: text(value) if isinstance(value, str) else value for name, value in values.items()}


def _for_optuna(event: Saved) -> dict[str, object]:
    """What optuna.artifacts.ArtifactMeta holds."""
    # What an ending says of models belongs to other programs: .pt is a page table of a game console.
    mimetype, encoding = (None, None) if event.kind == "model" else mimetypes.guess_type(event.name)
    return {
        "artifact_id": event.shown_as,
        "filename": event.name,
        "mimetype": mimetype or _UNKNOWN_TYPE,
        "encoding": encoding,
    }
