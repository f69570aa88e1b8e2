"""The process that waits for a trial becomes that trial's; one that was killed meanwhile is replaced."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path
from typing import BinaryIO

import pytest
from hydra._internal.callbacks import Callbacks

from sweeper.run.app import LoadedApp
from sweeper.run.fork import Forks
from sweeper.run.journal import written
from sweeper.trial import Ended, Started, TrialSpec
from tests.run import apps
from tests.spec import spec_for


@pytest.fixture
def forks() -> Iterator[Forks]:
    host, _ = Pipe()
    found = Forks(LoadedApp(apps.returns, Callbacks()), host)
    yield found
    if found._next is not None:
        os.kill(found._next.pid, signal.SIGKILL)
        os.waitpid(found._next.pid, 0)


@pytest.fixture
def stacks() -> Iterator[BinaryIO]:
    with os.fdopen(os.memfd_create("stacks"), "wb") as file:
        yield file


def run(forks: Forks, spec: TrialSpec, stacks: BinaryIO) -> int:
    """Run a trial to its end; returns its process id."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        pid = forks.start(spec, theirs, stacks)
        assert os.waitpid(pid, 0) == (pid, 0)
    (started,) = [event.pid for event in written(spec) if isinstance(event, Started)]
    assert started == pid
    return pid


def test_who_waits_becomes_the_trial(forks: Forks, stacks: BinaryIO, tmp_path: Path) -> None:
    forks.prepare()
    waiting = forks._next
    forks.prepare()  # one waits already
    assert waiting is not None and forks._next is waiting
    spec = spec_for(tmp_path, {"x": 3.0})
    assert run(forks, spec, stacks) == waiting.pid
    assert isinstance(end := written(spec)[-1], Ended) and end.values == (9.0,)


def test_a_trial_need_not_wait_for_a_process(forks: Forks, stacks: BinaryIO, tmp_path: Path) -> None:
    assert run(forks, spec_for(tmp_path, {"x": 3.0}), stacks) != os.getpid()
    assert forks._next is None


def test_one_that_was_killed_while_it_waited_is_replaced(forks: Forks, stacks: BinaryIO, tmp_path: Path) -> None:
    forks.prepare()
    assert forks._next is not None
    killed = forks._next.pid
    os.kill(killed, signal.SIGKILL)
    os.waitid(os.P_PID, killed, os.WEXITED | os.WNOWAIT)
    assert run(forks, spec_for(tmp_path, {"x": 3.0}), stacks) != killed
    with pytest.raises(ChildProcessError):
        os.waitpid(killed, 0)


def test_a_base_that_came_after_the_fork_is_read_all_the_same(forks: Forks, stacks: BinaryIO, tmp_path: Path) -> None:
    for x in (1.0, 2.0):
        forks.prepare()
        spec = spec_for(tmp_path / str(x), {"x": x})
        run(forks, spec, stacks)
        assert isinstance(end := written(spec)[-1], Ended) and end.values == (x * x,)
