from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hydra._internal.callbacks import Callbacks
from omegaconf import DictConfig
from optuna.trial import TrialState

import sweeper
from sweeper.launch import inline
from sweeper.launch.inline import InlineLauncher
from sweeper.run.app import LoadedApp, Task
from sweeper.run.execute import JournalledRun
from sweeper.run.journal import JournalReader, journal_path
from sweeper.run.outcome import Interruption
from sweeper.trial import Ended, Event, Failure, Reported, Saved, Started, TrialSpec
from tests.contracts.launcher import LauncherContract, LauncherFor
from tests.spec import spec_for


def inline_launcher(task: Task) -> InlineLauncher:
    return InlineLauncher(LoadedApp(task, Callbacks()), after_trial=lambda: None)


class TestInlineLauncher(LauncherContract):
    @pytest.fixture(scope="class")
    @classmethod
    def launcher_for(cls) -> LauncherFor:
        return inline_launcher


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

    end = stopped(inline_launcher(task), is_there, tmp_path)

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

    end = stopped(inline_launcher(task), is_there, tmp_path)

    assert (end.failure, end.error) == (Failure.STOPPED, "stopped by the test")


def test_a_stop_that_is_heard_and_goes_nowhere_comes_again(tmp_path: Path) -> None:
    """As where Python drops it by itself, which it does while it words an error."""
    is_there = threading.Event()

    def task(cfg: DictConfig) -> float:
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                is_there.set()
                time.sleep(0.01)
        while True:
            time.sleep(0.01)

    end = stopped(inline_launcher(task), is_there, tmp_path)

    assert (end.failure, end.error) == (Failure.STOPPED, "stopped by the test")


def test_a_stop_that_comes_when_the_task_has_returned_takes_nothing_of_its_end(tmp_path: Path) -> None:
    n_files = 200
    spec = replace(spec_for(tmp_path, {"x": 1.0}), artifacts=str(tmp_path / "store"), collect=("*.txt",))

    def task(cfg: DictConfig) -> float:
        for number in range(n_files):
            Path(spec.folder, f"{number}.txt").write_text(str(number))
        return 0.5

    saved: list[str] = []

    async def run(launcher: InlineLauncher) -> Ended:
        async for slot in launcher.slots():
            async for (event,) in slot.run(spec):
                if isinstance(event, Saved):
                    saved.append(event.name)
                    await slot.stop(Failure.STOPPED, "stopped by the test")
                if isinstance(event, Ended):
                    return event
        raise AssertionError

    launcher = inline_launcher(task)
    end = launcher.drive(run(launcher))

    assert (end.state, end.values) == (TrialState.COMPLETE, (0.5,))
    assert {f"{number}.txt" for number in range(n_files)} <= set(saved)


def test_a_stop_that_comes_when_the_task_has_returned_leaves_what_it_returned(tmp_path: Path) -> None:
    """As from a GPU, which is waited for when its number is asked."""
    is_there = threading.Event()

    class Slow:
        shape = ()

        def item(self) -> float:
            is_there.set()
            time.sleep(0.3)
            return 0.5

    def task(cfg: DictConfig) -> Slow:
        return Slow()

    end = stopped(inline_launcher(task), is_there, tmp_path)

    assert (end.state, end.values) == (TrialState.COMPLETE, (0.5,))


def test_a_stop_between_two_points_loses_none_and_gives_none_the_others_place(tmp_path: Path) -> None:
    def task(cfg: DictConfig) -> float:
        while True:
            sweeper.log({"loss": 1.0})

    for number in range(8):
        spec = spec_for(tmp_path, {"x": 1.0}, number)
        heard: list[int] = []

        async def run(launcher: InlineLauncher, spec: TrialSpec = spec, heard: list[int] = heard) -> None:
            async for slot in launcher.slots():
                async for (event,) in slot.run(spec):
                    heard.append(event.seq)
                    if event.seq == 20:
                        await slot.stop(Failure.STOPPED, "stopped by the test")
                return

        launcher = inline_launcher(task)
        launcher.drive(run(launcher))

        assert heard == list(range(len(heard)))
        assert [event.seq for event in JournalReader(journal_path(spec.folder, spec.run), spec.run).read()] == heard


def test_a_stop_that_is_caught_and_kept_comes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inline, "_HELD_S", 0.2)
    is_there = threading.Event()
    caught: list[BaseException] = []

    def task(cfg: DictConfig) -> float:
        while len(caught) < 2:
            try:
                is_there.set()
                time.sleep(60)
            except BaseException as error:
                caught.append(error)
        raise caught[-1]

    end = stopped(inline_launcher(task), is_there, tmp_path)

    assert (end.failure, len(caught)) == (Failure.STOPPED, 2)


def test_the_pruners_answers_to_one_trial_are_not_the_nexts(tmp_path: Path) -> None:
    """The driver answers every report, also where the task does not ask."""

    def task(cfg: DictConfig) -> float:
        if cfg.x == 1:
            sweeper.report(0.5, 5)
            return 0.0
        sweeper.report(0.5, 0)
        return float(sweeper.should_prune())

    async def run(launcher: InlineLauncher) -> tuple[float, ...] | None:
        end: Event | None = None
        async for slot in launcher.slots():
            for number in (1, 2):
                async for (end,) in slot.run(spec_for(tmp_path, {"x": number}, number)):
                    if isinstance(end, Reported):
                        await slot.answer(end.step, prune=number == 1)
            break
        return end.values if isinstance(end, Ended) else None

    launcher = inline_launcher(task)

    assert launcher.drive(run(launcher)) == (0.0,)


def test_a_trial_without_room_for_its_files_ends(tmp_path: Path) -> None:
    (tmp_path / "0").write_text("no folder")
    launcher = inline_launcher(lambda cfg: 0.0)

    async def run() -> Ended:
        async for slot in launcher.slots():
            async for (event,) in slot.run(spec_for(tmp_path, {"x": 1.0})):
                if isinstance(event, Ended):
                    return event
        raise AssertionError

    end = launcher.drive(run())

    assert end.state == TrialState.FAIL and "NotADirectory" in str(end.error)


def test_what_goes_wrong_around_a_trial_is_raised_by_drive(tmp_path: Path) -> None:
    def after_trial() -> None:
        raise RuntimeError("around it")

    launcher = InlineLauncher(LoadedApp(lambda cfg: 0.0, Callbacks()), after_trial)

    async def run() -> None:
        async for slot in launcher.slots():
            for number in range(2):
                async for _ in slot.run(spec_for(tmp_path, {"x": 1.0}, number)):
                    pass

    with pytest.raises(RuntimeError, match="around it"):
        launcher.drive(run())
    assert "sweeper-loop" not in {thread.name for thread in threading.enumerate()}


def test_a_stop_that_comes_while_nothing_can_be_written_is_not_kept_for_a_later_event(tmp_path: Path) -> None:
    def raise_the_stop() -> None:
        raise Interruption(Failure.STOPPED, "stopped by the test")

    def ring(event: Event) -> None:  # at the end of every write
        run.interrupt(raise_the_stop)
        raise OSError("no room")

    run = JournalledRun(spec_for(tmp_path, {"x": 1.0}), ring, lambda _: False)

    with pytest.raises(Interruption):
        run.measured(0, {"loss": 1.0})


def test_a_sweep_that_gives_a_trial_up_ends_with_it_and_not_with_an_error(tmp_path: Path) -> None:
    """The loop is gone by then; what the task does with the main thread is heard by nobody."""

    def task(cfg: DictConfig) -> float:
        while any(thread.name == "sweeper-loop" for thread in threading.enumerate()):
            time.sleep(0.01)
        sweeper.report(0.5, step=0)
        assert sweeper.should_prune()
        return 1.0

    spec = spec_for(tmp_path, {"x": 1.0})

    async def main() -> str:
        async for slot in inline_slots:
            async for _ in slot.run(spec):
                return "given up"
        raise AssertionError

    launcher = inline_launcher(task)
    inline_slots = launcher.slots()

    assert launcher.drive(main()) == "given up"
    end = JournalReader(journal_path(spec.folder, spec.run), spec.run).read()[-1]
    assert isinstance(end, Ended) and end.values == (1.0,)
