"""Requests to the driver of a sweep, from any machine: what, by whom, when, and what the driver said to it."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from sweeper.errors import NotFound
from sweeper.record.batch import Batch, Blind
from sweeper.record.lease import Holder, holders
from sweeper.record.tables import requests
from sweeper.trial import Answer, Request

TAKEN, REFUSED = "taken", "refused"

_OPEN = select(requests.c.request, requests.c.kind, requests.c.argument, requests.c.user, requests.c.host)
_ANSWERS = select(requests.c.request, requests.c.outcome, requests.c.answer).where(requests.c.answered_at.is_not(None))


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is on record, and whose driver it was addressed to."""

    request: str
    holder: Holder


@dataclass(frozen=True, slots=True)
class Ask(Blind):
    """A request to each living driver of a study, or to one; gives them. NotFound where there is none."""

    study: str
    kind: str
    argument: Mapping[str, object]
    user: str
    host: str
    sweep: str | None = None  # of the one driver

    def apply(self, batch: Batch) -> list[Asked]:
        alive, _ = holders(batch.connection, self.study)
        asked = [Asked(uuid.uuid4().hex, one) for one in alive if self.sweep in (None, one.sweep)]
        if not asked:
            raise NotFound(
                f"no driver is at work on {self.study!r}; `sweeper resume {self.study}` goes on with what it misses"
            )
        batch.connection.execute(insert(requests), [self._row(one) for one in asked])
        return asked

    def _row(self, asked: Asked) -> dict[str, object]:
        return {
            "request": asked.request,
            "sweep": asked.holder.sweep,
            "study": self.study,
            "kind": self.kind,
            "argument": json.dumps(self.argument),
            "user": self.user,
            "host": self.host,
            "asked_at": time.time(),
        }


@dataclass(frozen=True, slots=True)
class Answered(Blind):
    """A driver's answer; the first one stands."""

    request: str
    answer: Answer

    def apply(self, batch: Batch) -> None:
        mine = (requests.c.request == self.request) & requests.c.answered_at.is_(None)
        values = {
            "answered_at": time.time(),
            "outcome": TAKEN if self.answer.was_taken else REFUSED,
            "answer": self.answer.text,
        }
        batch.connection.execute(update(requests).where(mine), values)


def open_requests(connection: Connection, sweep: str) -> list[Request]:
    """What a sweep's driver has been asked and has not answered, in the order of asking."""
    query = _OPEN.where(requests.c.sweep == sweep, requests.c.answered_at.is_(None)).order_by(requests.c.id)
    return [Request(row[0], row[1], json.loads(row[2]), row[3], row[4]) for row in connection.execute(query)]


def answers(connection: Connection, asked: Sequence[str]) -> dict[str, Answer]:
    """The answers to requests, as far as there are any."""
    found = connection.execute(_ANSWERS.where(requests.c.request.in_(asked)))
    return {row[0]: Answer(row[1] == TAKEN, row[2]) for row in found}
