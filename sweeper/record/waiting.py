"""A write on its way to the database: who waits for it, and what it came to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from sweeper.record.batch import Batch, Unforeseen, Write
from sweeper.record.failure import is_refusal

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Waiting:
    """One that was given to a writer."""

    write: Write[Any]
    committed: Callable[[Any], None] | None
    future: Future[Any] | None  # None for a deferred write: nobody waits for it
    is_urgent: bool
    ordinal: int
    since: float  # by the monotonic clock


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of it."""

    value: Any = None
    error: Exception | None = None


def running() -> Future[Any]:
    """A write cannot be taken back, not by an asyncio task either."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    return future


def answered(write: Write[Any], batch: Batch) -> Answer:
    """Let it decide, within its transaction. Raises what has ended the transaction, and Unforeseen."""
    try:
        return Answer(write.apply(batch))
    except Unforeseen:
        raise
    except Exception as error:
        if is_refusal(error):
            raise
        return Answer(error=error)


def announce(taken: Sequence[Waiting], answers: Sequence[Answer]) -> None:
    """Tell those who want to know before anybody else."""
    for waiting, answer in zip(taken, answers, strict=True):
        if waiting.committed is not None and answer.error is None:
            waiting.committed(answer.value)


def resolve(waiting: Waiting, answer: Answer) -> None:
    """Tell whoever waits, unless that has been done."""
    if answer.error is not None and not waiting.is_urgent:
        _log.error("not stored: %s", answer.error)
    if waiting.future is None or waiting.future.done():
        return
    if answer.error is not None:
        waiting.future.set_exception(answer.error)
    else:
        waiting.future.set_result(answer.value)
