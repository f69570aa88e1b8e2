"""Which parameters mattered, worked out once for what is on record and kept until enough has been added."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from sweeper.document.importance_bars import gist
from sweeper.document.importance_section import advised
from sweeper.errors import ConfigError
from sweeper.history import StudyRow
from sweeper.history.question import question
from sweeper.importance import BELIEVABLE, advise, evaluate
from sweeper.web.address import required
from sweeper.web.page import answer
from sweeper.web.source import Source, source_of

if TYPE_CHECKING:
    from sweeper.importance import Importance

MOST_TRIALS = 2000  # that are looked at; of more, an even choice
RESAMPLES = 8  # from which the intervals are taken
ENOUGH = 1.1  # times as many finished trials make an answer old
FEWEST = 4  # trials that vary anything at all
_KEPT = 32  # answers


@dataclass
class Answers:
    """The answers of this process, oldest out first; one is worked out at a time."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _found: OrderedDict[tuple[str, str, str], tuple[int, Importance]] = field(default_factory=OrderedDict)

    def of(self, source: Source, row: StudyRow, objective: str) -> Importance | None:
        """The importance of a study's parameters for one objective; None while another answer is being worked out."""
        known = self.known(source, row, objective)
        if known is not None or not self._lock.acquire(blocking=False):
            return known
        try:
            found = _worked_out(source, row, objective)
            self._found[source.history.where, row.name, objective] = (row.finished, found)
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)
            return found
        finally:
            self._lock.release()

    def known(self, source: Source, row: StudyRow, objective: str) -> Importance | None:
        """The answer where there is one that is not too old: nobody waits for it."""
        count, found = self._found.get((source.history.where, row.name, objective), (0, None))
        return found if found is not None and count <= row.finished < max(count * ENOUGH, count + 1) else None


_answers = Answers()


def importance(request: Request) -> Response:
    """Shares with their intervals, and what follows for the next sweep."""
    source, given = source_of(request), request.query_params
    row = source.history.study(required(given, "study"))
    objective = given.get("objective", row.objectives[0])
    if objective not in row.objectives:
        raise ConfigError(f"objective={objective!r:.60}: {row.name!r:.60} has {', '.join(row.objectives)}")
    if row.counts["COMPLETE"] < FEWEST:
        return answer({"gist": f"{FEWEST} finished trials are needed to say what mattered.", "bars": []})
    found = _answers.of(source, row, objective)
    if found is None:
        return answer({"gist": "Being worked out …", "bars": [], "pending": True}, 202)
    what = question(source.history, row, objective)
    advice = advise(found, what.direction) if what.direction else []
    return answer({**_bars(found), "gist": plain(gist(found, objective)), "name": objective, "advice": advised(advice)})


def ranking(source: Source, row: StudyRow) -> list[str]:
    """The parameters by their importance, where somebody has asked for it already."""
    known = _answers.known(source, row, row.objectives[0])
    return list(known.importances) if known is not None else []


def plain(sentence: str) -> str:
    """A sentence made for matplotlib, whose dollars it escapes."""
    return sentence.replace(r"\$", "$")


def _worked_out(source: Source, row: StudyRow, objective: str) -> Importance:
    points = source.survey.points(row.name, row.objectives.index(objective))
    numbers = [point.number for point in points if point.state == "COMPLETE"]
    every = -(-len(numbers) // MOST_TRIALS)
    trials = source.survey.finished(row.name, numbers[::every] if every > 1 else numbers)
    what = question(source.history, row, objective)
    return evaluate(trials, target=what.target, resamples=RESAMPLES)


def _bars(found: Importance) -> dict[str, Any]:
    shares = found.importances
    return {
        "bars": [
            {"name": name, "share": share, "interval": found.intervals.get(name)} for name, share in shares.items()
        ],
        "left": max(0.0, 1 - sum(shares.values())),
        "r2": found.r2,
        "is_believable": found.r2 is not None and found.r2 >= BELIEVABLE,
        "trials": found.n_trials,
        "notes": list(found.notes),
    }
