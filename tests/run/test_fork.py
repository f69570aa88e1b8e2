"""The process that waits for a trial becomes that trial's; one that was killed meanwhile is replaced."""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import psutil
import pytest
from hydra._internal.callbacks import Callbacks

from sweeper.run import fork, zygote
from sweeper.run.app import App
from sweeper.run.fork import Forks
from sweeper.run.journal import written
from sweeper.run.message import Ready
from sweeper.trial import Captured, Ended, Started, TrialSpec
from tests.run import apps
from tests.spec import spec_for


@contextmanager
def forking() -> Iterator[Forks]:
    found = Forks(App.of(apps.returns, Callbacks()))
    assert found.ready() == Ready()
    yield found
    (zygote,) = found.lasting
    if found._next is not None:
        found._next.line.close()
    found._orders.close()
    os.waitpid(zygote, 0)


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with forking() as found:
        yield found


@pytest.fixture
def stacks() -> Iterator[BinaryIO]:
    with os.fdopen(os.memfd_create("stacks"), "wb") as file:
        yield file


def run(forks: Forks, spec: TrialSpec, stacks: BinaryIO) -> int:
    """Run a trial to its end; returns its process id."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        pid = forks.start(spec, theirs, stacks)
        assert forks.wait(pid) == 0
    events = written(spec.folder, spec.run)
    (started,) = [event.pid for event in events if isinstance(event, Started)]
    assert started == pid
    assert isinstance(events[-1], Ended) and events[-1].values == (spec.config["x"] ** 2,)  # type: ignore[operator]
    return pid


def kill(pid: int) -> None:
    """A process that is somebody else's child, and wait for its end."""
    ended = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    select.select([ended], [], [])
    os.close(ended)


def test_who_waits_becomes_the_trial(forks: Forks, stacks: BinaryIO, tmp_path: Path) -> None:
    forks.prepare()
    waiting = forks._next
    forks.prepare()  # one waits already
    assert waiting is not None and forks._next is waiting
    assert run(forks, spec_for(tmp_path, {"x": 3.0}), stacks) == waiting.pid


def test_a_trial_need_not_wait_for_a_process(forks: Forks, stacks: BinaryIO, tmp_path: Path) -> None:
    assert run(forks, spec_for(tmp_path, {"x": 3.0}), stacks) != os.getpid()
    assert forks._next is None


def test_one_that_was_killed_while_it_waited_is_replaced(forks: Forks, stacks: BinaryIO, tmp_path: Path) -> None:
    forks.prepare()
    assert forks._next is not None
    killed = forks._next.pid
    kill(killed)
    assert run(forks, spec_for(tmp_path, {"x": 3.0}), stacks) != killed
    assert not psutil.pid_exists(killed)  # and nothing is left of it


def test_what_trials_share_is_made_once_and_what_they_have_said_is_not_said_again(
    forks: Forks, stacks: BinaryIO, tmp_path: Path
) -> None:
    specs = [spec_for(tmp_path / str(attempt), {"x": 4.0}) for attempt in range(4)]
    documents = []
    for spec in specs:
        run(forks, spec, stacks)
        for event in written(spec.folder, spec.run):
            forks.heed(event)
        documents.append([event.document for event in written(spec.folder, spec.run) if isinstance(event, Captured)])
        forks.prepare()
    assert documents[0][0] is not None
    assert documents[-1] == [None, None]


def test_each_has_its_own_base_however_many_there_are(
    stacks: BinaryIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fork, "MOST_BASES", 2)
    monkeypatch.setattr(zygote, "MOST_BASES", 2)
    orders: list[bytes] = []
    bases = {x: spec_for(tmp_path, {"x": float(x)}).base for x in (1, 2, 3)}
    with forking() as forks, monkeypatch.context() as patch:
        sent = forks._order
        patch.setattr(forks, "_order", lambda word, *given, **named: (orders.append(word), sent(word, *given, **named)))
        for turn, x in enumerate([1, 1, 2, 2, 1, 3, 3, 1, 1, 3, 2, 2, 3, 1]):
            run(forks, replace(spec_for(tmp_path / str(turn), {"x": float(x)}), base=bases[x]), stacks)
            if turn % 3:
                forks.prepare()  # this one knows the bases of now
    assert orders.count(zygote.BASE) >= 5  # what is forgotten is told again


def test_a_status_is_that_of_waitpid(forks: Forks) -> None:
    forks.prepare()
    assert forks._next is not None
    waiting, forks._next = forks._next, None
    with waiting.line:
        kill(waiting.pid)
        assert os.waitstatus_to_exitcode(forks.wait(waiting.pid)) == -signal.SIGKILL


def test_without_its_zygote_nothing_can_be_started(stacks: BinaryIO, tmp_path: Path) -> None:
    forks = Forks(App.of(apps.returns, Callbacks()))
    forks.ready()
    (zygote,) = forks.lasting
    os.kill(zygote, signal.SIGKILL)
    os.waitpid(zygote, 0)
    ours, theirs = socket.socketpair()
    with ours, theirs, forks._orders, pytest.raises(EOFError):
        forks.start(spec_for(tmp_path, {"x": 3.0}), theirs, stacks)
