"""A request to whoever drives a study, from any machine, and what is shown of the answers."""

from __future__ import annotations

import contextlib
import getpass
import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer

from sweeper import machine
from sweeper.cli.screen import Screen
from sweeper.errors import LaunchError
from sweeper.text import printable

if TYPE_CHECKING:
    from sweeper.record import Storage
    from sweeper.record.lease import Holder
    from sweeper.record.request import Asked
    from sweeper.trial import Answer

_PATIENCE_S = 15.0  # drivers look once a second
_LOOK_S = 0.1


def order(
    url: str, study: str, kind: str, argument: Mapping[str, object], json: bool, sweep: str | None = None
) -> None:
    """Ask every driver of the study, or that of one sweep; print what each said.

    Leaves with the status of LaunchError unless all have taken it. Raises NotFound where nobody drives the study.
    """
    from sweeper.history import History
    from sweeper.record import Storage
    from sweeper.record.request import Ask

    History(url).study(study)  # of a database that is not there, nothing is created
    with contextlib.closing(Storage(url)) as storage:
        ask = Ask(study, kind, argument, getpass.getuser(), socket.gethostname(), sweep)
        asked = storage.writer.perform(ask)
        answers = _wait(storage, asked)
    if json:
        machine.print_json([_record(one, answers.get(one.request)) for one in asked])
    else:
        for one in asked:
            Screen().line(f"{printable(study)}: {_said(one, answers.get(one.request))}")
    if not all(one.request in answers and answers[one.request].was_taken for one in asked):
        raise typer.Exit(LaunchError.exit_status)


def _wait(storage: Storage, asked: list[Asked]) -> dict[str, Answer]:
    from sweeper.record.request import answers

    names = [one.request for one in asked]
    until = time.monotonic() + _PATIENCE_S
    while True:
        found = storage.ask(lambda connection: answers(connection, names))
        if len(found) == len(asked) or time.monotonic() > until:
            return found
        time.sleep(_LOOK_S)  # a database tells nobody when it changes


def _record(asked: Asked, answer: Answer | None) -> dict[str, object]:
    holder = asked.holder
    return {
        "sweep": holder.sweep,
        "user": holder.user,
        "host": holder.host,
        "pid": holder.pid,
        "taken": None if answer is None else answer.was_taken,
        "answer": None if answer is None else answer.text,
    }


def _said(asked: Asked, answer: Answer | None) -> str:
    who = driver(asked.holder)
    if answer is None:
        return (
            f"{who} has not answered within {_PATIENCE_S:g} s; the request is on record, and is answered as soon as it "
            "can, unless its sweep is over"
        )
    return f"{who} {'' if answer.was_taken else 'refuses: '}{printable(answer.text)}"


def driver(holder: Holder) -> str:
    """A driver in words."""
    return printable(f"{holder.user}'s process {holder.pid} on {holder.host}")
