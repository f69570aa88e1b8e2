"""The end of a launch: what it still has goes back in line and its end is on record, or both wait on disk."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator

from sweeper.brake import Brake
from sweeper.budget import Tally
from sweeper.errors import Interrupted, StorageError
from sweeper.record import Record
from sweeper.study import AskTellStudy
from sweeper.takeover import leave


@contextlib.contextmanager
def ended_on_record(study: AskTellStudy, record: Record, sweep: str, brake: Brake, tally: Tally) -> Iterator[None]:
    """Within this a sweep runs. Raises Interrupted where it stops while its database is out of reach."""
    with _parting(record, brake, study.study_name):
        outcome = "failed"
        try:
            yield
            outcome = "stopped" if brake.signal else "finished" if tally.is_within() else "failed"
        except Interrupted as interrupted:
            brake.stop(interrupted.signal)
            raise
        finally:
            try:
                leave(study, record, sweep)
            finally:
                record.sweep_ended(sweep, "stopped" if brake.is_stopping else outcome).result()
                record.close()


@contextlib.contextmanager
def _parting(record: Record, brake: Brake, study: str) -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        if brake.signal is None or not record.has_parted:
            raise
        raise Interrupted(brake.signal, f"stopped; {error} (`sweeper resume {shlex.quote(study)}`)") from error
