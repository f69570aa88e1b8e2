"""The entries of a record about runs and their code, as plain data; each knows what rows of ours it leaves."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from optuna.trial import TrialState
from sqlalchemy import bindparam, delete, insert, select, update

from sweeper.errors import NotFound, StorageError
from sweeper.record.batch import Batch, Blind
from sweeper.record.kept_rows import KeptRows
from sweeper.record.lease import lost
from sweeper.record.optuna_rows import OptunaRows, studies, to_epoch, trials
from sweeper.record.owner import check_not_gone
from sweeper.record.run_rows import RunRows, json_text, text
from sweeper.record.statement import compiled, insert_if_absent
from sweeper.record.tables import OF_RUNS, code, runs
from sweeper.trial import (
    Captured,
    Ended,
    Event,
    Logged,
    Looked,
    Measured,
    Metered,
    Reported,
    Saved,
    Started,
    TrialSpec,
    Used,
)

OBJECTIVE = "objective"  # the metric name of what `sweeper.report` brings
_ATTEMPTS = select(runs.c.id, runs.c.attempt, runs.c.state, runs.c.created_at).where(
    runs.c.study == bindparam("study"), runs.c.number == bindparam("number")
)


@dataclass(frozen=True, slots=True)
class CodeTaken(Blind):
    """A code snapshot, with the columns of its row; one that is on record stays as it is."""

    columns: Mapping[str, object]

    def apply(self, batch: Batch) -> None:
        statement = insert_if_absent(batch.connection.dialect.name, code, "code", key=("code",))
        batch.connection.execute(statement, dict(self.columns))


@dataclass(frozen=True, slots=True)
class Judged(Blind):
    """The verdict on a run that repeats another."""

    run: str
    verdict: str  # JSON

    def apply(self, batch: Batch) -> None:
        batch.connection.execute(update(runs).where(runs.c.run == self.run), {"verdict": self.verdict})


@dataclass(frozen=True, slots=True)
class RunOpened:
    """A run, with the columns of its row; earlier attempts of its trial that never ended are lost."""

    columns: Mapping[str, object]

    def prepare(self, batch: Batch) -> None:
        batch.part(RunRows).want(str(self.columns["run"]))

    def apply(self, batch: Batch) -> None:
        run = str(self.columns["run"])
        part = batch.part(RunRows)
        if run not in part.ids:
            check_not_gone(batch.connection, self.columns)
            self._clear_the_way(batch)
            statement = insert(runs).returning(runs.c.id)
            part.ids[run] = batch.connection.execute(statement, dict(self.columns)).scalar_one()

    def _clear_the_way(self, batch: Batch) -> None:
        row, connection = self.columns, batch.connection
        trial = {"study": row["study"], "number": row["number"]}
        known = compiled(connection.dialect.name, _ATTEMPTS).run(connection, trial)
        for run_id, attempt, state, created_at in known.fetchall():
            if attempt >= row["attempt"]:
                self._clear_leftover(batch, run_id, attempt, created_at)
            elif state == TrialState.RUNNING.name:
                connection.execute(
                    update(runs).where(runs.c.id == run_id),
                    lost("a later attempt of its trial began", time.time()),
                )

    def _clear_leftover(self, batch: Batch, run_id: int, attempt: int, created_at: float) -> None:
        """Delete what is on record of a trial of the same name whose study was deleted without us."""
        row = self.columns
        began = batch.connection.execute(
            select(trials.c.datetime_start)
            .join(studies, studies.c.study_id == trials.c.study_id)
            .where(studies.c.study_name == row["study"], trials.c.number == row["number"])
        ).scalar()
        if began is None or created_at >= to_epoch(began):
            raise StorageError(
                f"attempt {attempt} of {row['study']}/{row['number']} is on record already: "
                "another driver runs this trial; end one of the two"
            )
        for table in OF_RUNS:
            batch.connection.execute(delete(table).where(table.c.run_id == run_id))
        batch.connection.execute(delete(runs).where(runs.c.id == run_id))


@dataclass(frozen=True, slots=True)
class RunAdopted(Blind):
    """A run that was given up with its driver goes on, in another sweep."""

    run: str
    sweep: str

    def apply(self, batch: Batch) -> None:
        has_no_end_of_its_own = (runs.c.run == self.run) & (runs.c.ended_seq.is_(None) | (runs.c.ended_seq < 0))
        going_on = dict.fromkeys(("failure", "error", "ended_at", "ended_seq"))
        batch.connection.execute(
            update(runs).where(has_no_end_of_its_own),
            {"sweep": self.sweep, "state": TrialState.RUNNING.name, **going_on},
        )


@dataclass(frozen=True, slots=True)
class Heard:
    """What runs have done."""

    events: Sequence[Event]

    def prepare(self, batch: Batch) -> None:
        part = batch.part(RunRows)
        for run in {event.run for event in self.events}:
            part.want(run)

    def apply(self, batch: Batch) -> None:
        part = batch.part(RunRows)
        for run in {event.run for event in self.events}:
            if run not in part.ids:
                raise NotFound(f"the run {run} is not on record: nothing can be written about it")
        for event in self.events:
            _leave(batch, part.ids[event.run], event)


@dataclass(frozen=True, slots=True)
class Nothing(Blind):
    """No change: durable when everything before it is."""

    def apply(self, batch: Batch) -> None:
        pass


def columns_of(sweep: str, spec: TrialSpec) -> dict[str, object]:
    """The row of a run that is about to start."""
    return {
        "run": spec.run,
        "sweep": sweep,
        "study": spec.study,
        "number": spec.number,
        "attempt": spec.attempt,
        "state": TrialState.RUNNING.name,
        "config": json_text(spec.config),
        "overrides": json_text(list(spec.overrides)),
        "seed": spec.seed,
        "folder": text(spec.folder),
        "created_at": time.time(),
        "code": spec.code,
        "reproduces": spec.reproduces,
        "resources": None if spec.resources is None else json_text(asdict(spec.resources)),
    }


def _leave(batch: Batch, run_id: int, event: Event) -> None:
    part = batch.part(RunRows)
    match event:
        case Started():
            place = {"node": text(event.node), "pid": event.pid, "gpu_share": event.gpus}
            part.started(run_id, {"started_at": event.time, **place})
        case Captured():
            if event.document is not None:
                part.environment(event.environment, text(json_text(event.document)), event.time)
            part.captured(run_id, event.seq, _capture(event))
        case Measured():
            part.measured(run_id, event.step, event.metrics, event.time, event.seq)
        case Logged():
            part.logged(run_id, event)
        case Reported():
            part.measured(run_id, event.step, {OBJECTIVE: event.value}, event.time, event.seq)
        case Looked():
            batch.part(KeptRows).tested(run_id, event)
        case Saved():
            batch.part(KeptRows).saved(run_id, event, batch.part(OptunaRows))
        case Used():
            batch.part(KeptRows).used(run_id, event)
        case Metered():
            part.metered(run_id, event)
        case Ended():
            if event.metrics:
                part.measured(run_id, part.last_step(run_id), event.metrics, event.time, event.seq)
            part.ended(run_id, event.seq, _end(event))
            if event.gpu_seconds is not None:
                part.metered(run_id, event)


def _capture(event: Captured) -> dict[str, object]:
    moment = "determinism" if event.moment == "start" else "determinism_at_end"
    return {
        "environment": event.environment,
        "gpus": json_text(event.gpus),
        "drift": text(json_text(event.drift)),
        "gaps": text(json_text(event.gaps)),
        "completeness": event.completeness,
        moment: text(json_text(event.determinism)),
    }


def _end(event: Ended) -> dict[str, object]:
    return {
        "state": event.state.name,
        "failure": None if event.failure is None else event.failure.value,
        "error": None if event.error is None else text(event.error),
        "traceback": None if event.traceback is None else text(event.traceback),
        "ended_at": event.time,
        "runtime_s": event.runtime_s,
        "peak_rss_bytes": event.peak_rss_bytes,
    }
