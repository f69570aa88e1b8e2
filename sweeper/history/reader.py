"""The one object that reads: a question is a method, each method one short read-only transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sweeper.errors import NotFound
from sweeper.history import audit, best, kept, label, lookup, origin, runs, search, spelling, studies, trials
from sweeper.history.connection import check_schema, open_engine, reading, shown
from sweeper.history.kept_rows import ArtifactRow, BlobUse, DataRow, HeldOut, Looks
from sweeper.history.query import parse
from sweeper.history.records import Record, records
from sweeper.history.rows import (
    AuditRow,
    BestRow,
    CodeRow,
    CostRow,
    Curve,
    EnvironmentRow,
    Hit,
    RunRow,
    SpanRow,
    StudyRow,
    SweepRow,
    TrialDetail,
    TrialName,
    TrialRow,
)

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial
    from sqlalchemy import Connection


class History:
    """All that is on record in one database, also one that Optuna wrote alone; never writes to it.

    A method raises `StorageError` when the database cannot be read, and `NotFound` for a study, trial or run
    that it does not have.
    """

    def __init__(self, url: str) -> None:
        """Open `sqlite:///FILE` or `postgresql://…`; nothing is created, a wrong schema is refused here."""
        self.where = shown(url)  # as it may be printed: no password
        self._engine = open_engine(url)
        with reading(self._engine, self.where) as connection:
            check_schema(connection, self.where)

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """One transaction that reads, for who copies rows as they are."""
        with reading(self._engine, self.where) as connection:
            yield connection

    def studies(self) -> list[StudyRow]:
        """All studies by name."""
        with reading(self._engine, self.where) as connection:
            return studies.rows(connection)

    def study(self, name: str) -> StudyRow:
        """One study at a glance."""
        with reading(self._engine, self.where) as connection:
            lookup.find(connection, name, self.where)
            return studies.rows(connection, [name])[0]

    def has_study(self, name: str) -> bool:
        """Whether there is a study of exactly this name."""
        with reading(self._engine, self.where) as connection:
            return lookup.exists(connection, name)

    def sweeps(self, study: str) -> list[SweepRow]:
        """The launches that added trials to a study, first to last."""
        with reading(self._engine, self.where) as connection:
            lookup.find(connection, study, self.where)
            return studies.sweep_rows(connection, study)

    def space(self, study: str) -> dict[str, Mapping[str, object]]:
        """Each parameter's distribution as Optuna's JSON has it: `name` and `attributes`."""
        with reading(self._engine, self.where) as connection:
            return studies.space(connection, lookup.find(connection, study, self.where))

    def failures(self, study: str) -> dict[str, int]:
        """How many trials failed for which failure kind, most frequent first."""
        with reading(self._engine, self.where) as connection:
            lookup.find(connection, study, self.where)
            return runs.failures(connection, study)

    def trials(self, study: str, *, states: Collection[str] | None = None, newest: int | None = None) -> list[TrialRow]:
        """A study's trials by number: those in one of `states`, of these the `newest`; by default all."""
        with reading(self._engine, self.where) as connection:
            found = lookup.find(connection, study, self.where)
            return trials.rows(connection, found, states=states, newest=newest)

    def replicates(self, study: str, number: int) -> list[TrialRow]:
        """The COMPLETE trials that have a trial's params, itself included: what differs is their seed."""
        params = self.trial(study, number).params
        return [row for row in self.trials(study, states=("COMPLETE",)) if row.params == params]

    def best(self, study: str, k: int | None = None) -> list[BestRow]:
        """The k best trials, best first; with several objectives the Pareto front by number, cut at k.

        Only COMPLETE trials count, and of these only feasible ones, as in Optuna. Without `k`: 10 trials,
        or the whole front.
        """
        with reading(self._engine, self.where) as connection:
            found = lookup.find(connection, study, self.where)
            if len(found.directions) == 1:
                tops = best.single(connection, found, 10 if k is None else k)
            else:
                tops = best.front(connection, found)[:k]
            return best.rows(connection, study, tops, runs.gpu_seconds(connection, study))

    def worth(self, study: str, k: int | None = None) -> list[BestRow]:
        """The trials that were worth their GPU-hours, cheapest first: no other is as good for less; cut at k."""
        with reading(self._engine, self.where) as connection:
            found = lookup.find(connection, study, self.where)
            cost = runs.gpu_seconds(connection, study)
            return best.rows(connection, study, best.front(connection, found, cost)[:k], cost)

    def trial(self, study: str, number: int) -> TrialDetail:
        """One trial with its parameters, attributes, times and runs."""
        with reading(self._engine, self.where) as connection:
            return trials.detail(connection, lookup.find(connection, study, self.where), number)

    def runs(self, study: str, number: int) -> list[RunRow]:
        """The attempts of a trial, in order; none where sweeper did not run it."""
        with reading(self._engine, self.where) as connection:
            lookup.find(connection, study, self.where)
            return runs.of_trial(connection, study, number)

    def run(self, run: str) -> RunRow:
        """One run by its uuid."""
        with reading(self._engine, self.where) as connection:
            return runs.one(connection, run, self.where)

    def sweep(self, sweep: str) -> SweepRow:
        """One launch by its uuid."""
        with reading(self._engine, self.where) as connection:
            return studies.sweep_row(connection, sweep, self.where)

    def environment(self, environment: str) -> EnvironmentRow:
        """An environment by its hash."""
        with reading(self._engine, self.where) as connection:
            return origin.environment(connection, environment, self.where)

    def code(self, code: str) -> CodeRow:
        """A state of the code by its hash."""
        with reading(self._engine, self.where) as connection:
            return origin.code(connection, code, self.where)

    def audit(self, study: str | None = None) -> list[AuditRow]:
        """Every run of a study, or of all, with what is missing of it on record."""
        with reading(self._engine, self.where) as connection:
            if study is not None:
                lookup.find(connection, study, self.where)
            return audit.rows(connection, study)

    def codes(self) -> list[CodeRow]:
        """Every state of the code on record, oldest first."""
        with reading(self._engine, self.where) as connection:
            return origin.codes(connection)

    def curves(self, run: str) -> dict[str, Curve]:
        """Every metric of a run over its steps, by name."""
        with reading(self._engine, self.where) as connection:
            return runs.curves(connection, run)

    def artifacts(self, run: str) -> list[ArtifactRow]:
        """The files that a run keeps, by name."""
        with reading(self._engine, self.where) as connection:
            return kept.artifacts_of(connection, run)

    def data(self, run: str) -> list[DataRow]:
        """The data that a run read, by name."""
        with reading(self._engine, self.where) as connection:
            return kept.data_of(connection, run)

    def test_metrics(self, run: str) -> dict[str, HeldOut]:
        """The test metrics of a run: they select nothing, and looks at them are counted."""
        with reading(self._engine, self.where) as connection:
            return kept.test_metrics_of(connection, run)

    def test_looks(self, study: str) -> Looks:
        """How often a study's runs have looked at test data."""
        with reading(self._engine, self.where) as connection:
            return kept.looks(connection, study)

    def blob_uses(self) -> list[BlobUse]:
        """Every file on record that should be in a store."""
        with reading(self._engine, self.where) as connection:
            return list(kept.uses(connection))

    def blobs(self) -> set[str]:
        """The sha256 of everything on record that may be in a store, code snapshots included."""
        with reading(self._engine, self.where) as connection:
            return kept.blobs(connection)

    def records(self, study: str) -> list[Record]:
        """Every trial of a study with its newest run, last metrics and tags, read in bulk."""
        with reading(self._engine, self.where) as connection:
            found = lookup.find(connection, study, self.where)
            return records(connection, found, studies.rows(connection, [study])[0].objectives)

    def costs(self, study: str) -> list[CostRow]:
        """What a study's runs took, failed ones and every attempt included."""
        with reading(self._engine, self.where) as connection:
            lookup.find(connection, study, self.where)
            return runs.costs(connection, study)

    def tags(self, study: str) -> Mapping[int | None, tuple[str, ...]]:
        """The tags of a study's trials by number; under None those of the study itself."""
        with reading(self._engine, self.where) as connection:
            return label.tags_in(connection, study)

    def note(self, study: str, number: int | None) -> str:
        """The note of a trial, or of the study where there is no number; empty where nobody wrote one."""
        with reading(self._engine, self.where) as connection:
            return label.note(connection, lookup.find(connection, study, self.where), number)

    def search(self, query: str, limit: int) -> list[Hit]:
        """Trials over all studies that match a query, by study and number. Raises QueryError."""
        condition = parse(query)
        with reading(self._engine, self.where) as connection:
            return search.hits(connection, condition, limit)

    def misspelt(self, query: str) -> list[str]:
        """What a query names that no trial has, a sentence each."""
        with reading(self._engine, self.where) as connection:
            return spelling.unknown(connection, parse(query))

    def artifact_stores(self) -> list[str]:
        """The URLs of the stores that sweeps have written to."""
        with reading(self._engine, self.where) as connection:
            return kept.stores(connection)

    def earliest_open_sweep(self) -> float | None:
        """When the oldest sweep began that has not ended."""
        with reading(self._engine, self.where) as connection:
            return kept.earliest_open(connection)

    def last_metrics(self, run: str) -> dict[str, float]:
        """The value at the last step of each metric of a run."""
        with reading(self._engine, self.where) as connection:
            return runs.last_metrics_of(connection, run)

    def last_values(self, study: str, metric: str) -> dict[int, float]:
        """A metric's last value in each trial that has it, by number.

        Raises `NotFound` where no trial has it.
        """
        with reading(self._engine, self.where) as connection:
            lookup.find(connection, study, self.where)
            found = runs.last_values(connection, study, metric)
            if not found:
                names = ", ".join(runs.metric_names(connection, study)) or "no metric on record"
                raise NotFound(f"there is no metric {metric!r} in {study!r}: it has {names}")
            return found

    def of_runs(self, study: str, column: str) -> dict[int, object]:
        """A column of each trial's newest run, as `runtime_s`, `seed` or `node`, by number, where known."""
        with reading(self._engine, self.where) as connection:
            lookup.find(connection, study, self.where)
            return runs.column(connection, study, column)

    def spans(self, study: str) -> list[SpanRow]:
        """When and where each attempt of a study ran, by trial and attempt; none that sweeper did not run."""
        with reading(self._engine, self.where) as connection:
            lookup.find(connection, study, self.where)
            return runs.spans(connection, study)

    def on_gpus(self) -> dict[str, list[str]]:
        """The trials that run at the moment, as STUDY/NUMBER, by the UUID of each card that they see."""
        with reading(self._engine, self.where) as connection:
            return runs.on_gpus(connection)

    def finished(self, study: str) -> list[FrozenTrial]:
        """COMPLETE, PRUNED and FAIL trials as Optuna's own objects, by number, for importance."""
        with reading(self._engine, self.where) as connection:
            return trials.finished(connection, lookup.find(connection, study, self.where))

    def remembered(self, study: str) -> tuple[list[FrozenTrial], Mapping[str, Any]]:
        """What a study's samplers read: all its trials by number, and its system attributes."""
        with reading(self._engine, self.where) as connection:
            found = lookup.find(connection, study, self.where)
            return trials.frozen(connection, found), studies.system_attributes(connection, found)

    def resolve(self, name: str) -> str | TrialName:
        """What a user means by `digits` or `digits/17`: the study of exactly that name, else the trial."""
        if self.has_study(name) or "/" not in name:
            return name
        return TrialName.parse(name)
