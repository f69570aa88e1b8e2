"""Writes that wait on disk while the database is out of reach, so that the death of their driver does not lose them.

A spool is a file of JSON lines beside the sweep, made when an outage lasts and removed when it is over. Whoever writes
it holds a lock on it; another driver takes it in only after its writer is gone. Doing the writes in it twice changes
nothing.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from optuna.trial import TrialState

from sweeper.record import optuna_rows as rows
from sweeper.record.batch import Write
from sweeper.record.change import Child, LateState, State
from sweeper.record.entry import CodeTaken, Heard, Judged, RunOpened
from sweeper.record.owner import OwnChild, OwnState
from sweeper.record.sweep_entry import SweepEnded
from sweeper.trial import Ended, Event, Failure, Logged

_EVENTS: Mapping[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}
_TABLES = {
    table.name: table
    for table in (rows.trial_params, rows.trial_points, rows.trial_user_attrs, rows.trial_system_attrs)
}


class Spool:
    """The writing end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def append(self, writes: Sequence[Write[Any]]) -> None:
        """Keep these writes, in order, durably; those that only their caller can wait for are left out. All or none."""
        lines = [line for line in map(encode, writes) if line is not None]
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        size = os.fstat(self._descriptor).st_size
        text = memoryview(b"".join(lines))
        try:
            while text:
                text = text[os.write(self._descriptor, text) :]
            os.fsync(self._descriptor)
        except OSError:  # the disk is full: half a line would spoil the one that comes after it
            os.ftruncate(self._descriptor, size)
            raise

    def clear(self) -> None:
        """What was kept is in the database."""
        if self._descriptor is not None:
            self.path.unlink(missing_ok=True)
            self.close()

    def close(self) -> None:
        """Leave it for the next driver."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextmanager
def taken_in(path: Path) -> Iterator[list[Write[Any]]]:
    """The writes in a spool whose writer is gone, none while it lives; the file is removed if all went well."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield []
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield []
            return
        text = path.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]  # the last line may be torn
        yield [decode(line) for line in whole.splitlines()]
        path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def encode(write: Write[Any]) -> bytes | None:
    """One line, newline included; None for a write that is nobody's once its caller is gone."""
    match write:
        case State():
            values = _of_state(write)
        case OwnState():
            values = _of_state(write.state) | {"sweep": write.sweep}
        case Child():
            values = _of_child(write)
        case OwnChild():
            values = _of_child(write.child) | {"sweep": write.sweep}
        case Heard():
            values = {"events": [_plain(event) for event in write.events]}
        case RunOpened() | SweepEnded() | CodeTaken() | Judged():
            values = dataclasses.asdict(write)
        case _:
            return None
    return json.dumps({"write": type(write).__name__} | values).encode() + b"\n"


def decode(line: bytes) -> Write[Any]:
    """The write that `encode` wrote."""
    values = json.loads(line)
    return _DECODERS[values.pop("write")](values)


def _of_state(write: State) -> dict[str, Any]:
    return dataclasses.asdict(write) | {"state": write.state.name, "now": write.now.isoformat()}


def _of_child(write: Child) -> dict[str, Any]:
    return {"trial_id": write.trial_id, "table": write.table.name, "key": write.key, "columns": write.columns}


def _own_child(values: dict[str, Any]) -> OwnChild:
    sweep = values.pop("sweep")
    return OwnChild(_child(values), sweep)


def _own_state(values: dict[str, Any]) -> OwnState:
    sweep = values.pop("sweep")
    return OwnState(_state(values), sweep)


def _state(values: dict[str, Any]) -> LateState:
    told = values["values"]
    return LateState(
        State(
            values["trial_id"],
            TrialState[values["state"]],
            None if told is None else tuple(told),
            datetime.fromisoformat(values["now"]),
        )
    )


def _child(values: dict[str, Any]) -> Child:
    return Child(**values | {"table": _TABLES[values["table"]]})


def _heard(values: dict[str, Any]) -> Heard:
    return Heard(tuple(_event(row) for row in values["events"]))


_DECODERS: dict[str, Callable[[dict[str, Any]], Write[Any]]] = {
    "State": _state,
    "OwnState": _own_state,
    "Child": _child,
    "OwnChild": _own_child,
    "Heard": _heard,
    "CodeTaken": lambda values: CodeTaken(**values),
    "Judged": lambda values: Judged(**values),
    "RunOpened": lambda values: RunOpened(**values),
    "SweepEnded": lambda values: SweepEnded(**values),
}


def _plain(event: Event) -> dict[str, Any]:
    values = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    if isinstance(event, Ended):
        values["state"] = event.state.name
    elif isinstance(event, Logged):
        values["lines"] = event.lines.decode()
    return {"event": type(event).__name__} | values


def _event(row: dict[str, Any]) -> Event:
    kind = _EVENTS[row.pop("event")]
    if kind is Ended:
        row["state"] = TrialState[row["state"]]
        row["failure"] = None if row["failure"] is None else Failure(row["failure"])
    elif kind is Logged:
        row["lines"] = row["lines"].encode()
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
    return kind(**fields)
