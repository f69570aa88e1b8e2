"""Asks questions under a hard time limit: in a forked copy of this process, which sees what this one has imported.

A thread could not be ended, and a signal does not reach code that waits in a driver or on a dead file system. The copy
answers one question after the other; whatever it has not answered in time is recorded as failed, and the copy killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
import warnings
from collections.abc import Callable, Mapping

Reader = Callable[[], object]  # gives what JSON can hold

_LAST_WORDS_S = 0.2  # how long a killed copy may take to be gone


def failed(error: BaseException | str) -> str:
    """What stands on record in the place of an answer."""
    if isinstance(error, BaseException):
        text = " ".join(str(error).split())
        error = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"failed: {error}"


def has_failed(answer: object) -> bool:
    """Whether an answer says that there is none."""
    return isinstance(answer, str) and answer.startswith("failed: ")


def ask(readers: Mapping[str, Reader], limit_s: float) -> dict[str, object]:
    """What each reader gives, by its name; `failed: …` for those that raise or do not answer in time."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of forking beside threads: the copy takes no lock of theirs
        copy = os.fork()
    if copy == 0:
        os.close(reading)
        _answer(readers, writing)
    os.close(writing)
    try:
        said = _listen(reading, limit_s)
    finally:
        os.close(reading)
        _end(copy)
    answers: dict[str, object] = {}
    for line in said.splitlines(keepends=True):
        if line.endswith(b"\n"):
            answers |= json.loads(line)
    return {name: answers.get(name, failed(f"no answer within {limit_s:g} s")) for name in readers}


def _answer(readers: Mapping[str, Reader], writing: int) -> None:
    """In the copy: say every answer as soon as it is there, and never return."""
    try:
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            for name, read in readers.items():
                pipe.write(_line(name, read))
    finally:
        os._exit(0)


def _line(name: str, read: Reader) -> bytes:
    try:
        return json.dumps({name: read()}).encode() + b"\n"
    except BaseException as error:
        return json.dumps({name: failed(error)}).encode() + b"\n"


def _listen(reading: int, limit_s: float) -> bytes:
    """All that the copy says until it is done or the time is up."""
    said = b""
    deadline = time.monotonic() + limit_s
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        if not poll.poll(left * 1000):
            continue
        more = os.read(reading, 1 << 16)
        if not more:
            break
        said += more
    return said


def _end(copy: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(copy, signal.SIGKILL)
    deadline = time.monotonic() + _LAST_WORDS_S
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(copy, os.WNOHANG)[0] == 0 and time.monotonic() < deadline:
            time.sleep(0.001)  # one that hangs in a driver cannot be waited for
