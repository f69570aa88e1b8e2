"""What a report is about: all that its sections are written from, read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from optuna.trial import FrozenTrial

from sweeper.document.lane import Session, Stay, sessions
from sweeper.history import BestRow, History, RunRow, SpanRow, StudyRow, SweepRow
from sweeper.history.question import Question, question
from sweeper.history.survey import ELSEWHERE

BEST = 10  # trials in the table of the best


@dataclass(frozen=True)
class Subject:
    """A study at the moment when it was read."""

    history: History
    study: StudyRow
    trials: Sequence[FrozenTrial]  # finished ones
    best: Sequence[BestRow]  # of several objectives the Pareto front
    sweeps: Sequence[SweepRow]
    questions: Sequence[Question]  # one for each objective
    now: float

    @classmethod
    def of(cls, history: History, name: str, now: float) -> Subject:
        """Read the study. Raises `NotFound` where there is none."""
        study = history.study(name)
        return cls(
            history=history,
            study=study,
            trials=history.finished(name),
            best=history.best(name, BEST),
            sweeps=history.sweeps(name),
            questions=[question(history, study, objective) for objective in study.objectives],
            now=now,
        )

    @cached_property
    def nodes(self) -> dict[int, str]:
        """Where each trial's newest run was, as far as it is on record."""
        return {number: str(node) for number, node in self.history.of_runs(self.study.name, "node").items()}

    @cached_property
    def spans(self) -> list[SpanRow]:
        """When and where each attempt ran; none that sweeper did not run."""
        return self.history.spans(self.study.name)

    @cached_property
    def sessions(self) -> list[Session]:
        """When attempts ran, and trials that sweeper did not run; what runs still ends now."""
        known = {span.number for span in self.spans}
        rows = self.history.trials(self.study.name, states=("COMPLETE", "PRUNED", "FAIL", "RUNNING"))
        others = [
            SpanRow(row.number, 0, row.state, ELSEWHERE, (), row.started_at, row.ended_at)
            for row in rows
            if row.started_at is not None and row.number not in known
        ]
        return sessions(stays([*self.spans, *others], self.now))

    @cached_property
    def best_run(self) -> RunRow | None:
        """The newest run of the best trial; None where sweeper did not run it."""
        if not self.best or self.best[0].run is None:
            return None
        return self.history.run(self.best[0].run)


def stays(spans: Sequence[SpanRow], now: float) -> list[Stay]:
    """When each attempt ran: the newest without an end until now, an earlier one whose end nobody heard not at all."""
    newest: dict[int, int] = {}
    for span in spans:
        newest[span.number] = max(span.attempt, newest.get(span.number, 0))
    return [
        Stay(span.number, span.state, _place(span), span.started_at, max(span.started_at, span.ended_at or now))
        for span in spans
        if span.ended_at is not None or span.attempt == newest[span.number]
    ]


def _place(span: SpanRow) -> str:
    """Where an attempt ran, as closely as it is on record."""
    return " ".join([span.node or "unknown", *(uuid.removeprefix("GPU-")[:8] for uuid in span.gpus)])
