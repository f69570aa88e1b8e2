from __future__ import annotations

import asyncio
import signal
import threading
import time
from pathlib import Path

import pytest
from hydra._internal.callbacks import Callbacks
from omegaconf import DictConfig

from sweeper.launch.inline import InlineLauncher
from sweeper.run.app import LoadedApp, Task
from sweeper.trial import Ended, Failure, Started
from tests.contracts.launcher import LauncherContract, LauncherFor
from tests.spec import spec_for


class TestInlineLauncher(LauncherContract):
    @pytest.fixture(scope="class")
    @classmethod
    def launcher_for(cls) -> LauncherFor:
        def make(task: Task) -> InlineLauncher:
            return InlineLauncher(LoadedApp(task, Callbacks()), after_trial=lambda: None)

        return make


class Stubborn:
    """What is raised while it is destroyed is lost."""

    def __init__(self, is_there: threading.Event) -> None:
        self._is_there = is_there

    def __del__(self) -> None:
        self._is_there.set()
        time.sleep(60)  # the signal comes here, and ends it


def stopped(launcher: InlineLauncher, is_there: threading.Event, folder: Path) -> Ended:
    """How a trial ends that is stopped once it has said that it is there."""

    async def run() -> Ended:
        async for slot in launcher.slots():
            async for events in slot.run(spec_for(folder, {"x": 1.0})):
                if isinstance(events[-1], Started):
                    await asyncio.to_thread(is_there.wait)
                    await slot.stop(Failure.STOPPED, "stopped by the test")
                if isinstance(events[-1], Ended):
                    return events[-1]
        raise AssertionError

    return launcher.drive(run())


def test_a_stop_that_hits_where_exceptions_are_lost_is_heard_all_the_same(tmp_path: Path) -> None:
    is_there = threading.Event()

    def task(cfg: DictConfig) -> float:
        Stubborn(is_there)
        while True:
            time.sleep(0.01)

    end = stopped(InlineLauncher(LoadedApp(task, Callbacks()), after_trial=lambda: None), is_there, tmp_path)

    assert (end.failure, end.error) == (Failure.STOPPED, "stopped by the test")


def test_a_stop_whose_signal_is_lost_is_heard_all_the_same(tmp_path: Path) -> None:
    """As where it comes between Python's last look for signals and the wait in the kernel."""
    is_there = threading.Event()

    def task(cfg: DictConfig) -> float:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        is_there.set()
        signal.sigwait({signal.SIGUSR1})
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
        time.sleep(60)
        return 0.0

    end = stopped(InlineLauncher(LoadedApp(task, Callbacks()), after_trial=lambda: None), is_there, tmp_path)

    assert (end.failure, end.error) == (Failure.STOPPED, "stopped by the test")
