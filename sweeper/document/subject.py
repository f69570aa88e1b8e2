"""What a report is about: all that its sections are written from, read once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from optuna.trial import FrozenTrial

from sweeper.document.lane import Session, Stay, sessions
from sweeper.history import BestRow, History, RunRow, StudyRow, SweepRow
from sweeper.history.question import Question, question

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
    def gpus(self) -> dict[int, tuple[str, ...]]:
        """The UUIDs of the GPUs that each trial's newest run could see; only of trials that saw any."""
        found = self.history.of_runs(self.study.name, "gpus")
        uuids = {number: tuple(json.loads(str(text))) for number, text in found.items()}
        return {number: seen for number, seen in uuids.items() if seen}

    def _place(self, number: int) -> str:
        """Where a trial ran, as closely as it is on record."""
        node = self.nodes.get(number, "trials")
        return " ".join([node, *(uuid.removeprefix("GPU-")[:8] for uuid in self.gpus.get(number, ()))])

    @cached_property
    def sessions(self) -> list[Session]:
        """When trials ran, by their newest run where there is one; one that is running ends now."""
        begun = self.history.of_runs(self.study.name, "started_at")
        ended = self.history.of_runs(self.study.name, "ended_at")
        stays = []
        for row in self.history.trials(self.study.name, states=("COMPLETE", "PRUNED", "FAIL", "RUNNING")):
            start, end = begun.get(row.number, row.started_at), ended.get(row.number, row.ended_at)
            if isinstance(start, float):
                until = self.now if row.state == "RUNNING" or not isinstance(end, float) else end
                stays.append(Stay(row.number, row.state, self._place(row.number), start, max(start, until)))
        return sessions(stays)

    @cached_property
    def best_run(self) -> RunRow | None:
        """The newest run of the best trial; None where sweeper did not run it."""
        if not self.best or self.best[0].run is None:
            return None
        return self.history.run(self.best[0].run)
