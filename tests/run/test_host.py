from __future__ import annotations

import asyncio
import dataclasses
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable
from pathlib import Path
from typing import Any, Self

import psutil
import pytest
from hydra._internal.callbacks import Callbacks
from optuna.trial import TrialState

from sweeper.errors import LaunchError
from sweeper.launch import MANY, Slot, T
from sweeper.run.app import App, Task
from sweeper.run.host import Host
from sweeper.run.journal import JournalReader, journal_path
from sweeper.run.process import MARKER, kill_leftovers, marker
from sweeper.trial import Captured, Ended, Event, Failure, Isolation, Limits, Measured, TrialSpec
from tests.contracts.ends import End
from tests.contracts.launcher import LauncherFor, ProcessContract, run_all
from tests.events import apart
from tests.run import apps, deadly, fragile, threaded
from tests.spec import spec_for


class HostSlot:
    """A host as a slot, without Ray around it."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.latest = ""  # run

    async def ready(self) -> None:
        await self.host.ready()

    def run(self, spec: TrialSpec) -> AsyncIterator[tuple[Event, ...]]:
        self.latest = spec.run
        return self.host.run(spec)

    async def answer(self, step: int, prune: bool) -> None:
        self.host.answer(step, prune)

    def forget(self) -> None:
        pass

    async def close(self) -> None:
        self.host.close()

    async def stop(self, failure: Failure, error: str) -> None:
        self.host.stop(self.latest, failure, error, grace_s=1.0)


class HostLauncher:
    def __init__(self, task: Task, isolation: Isolation) -> None:
        self.host = Host(App.of(task, Callbacks()), {}, isolation)

    outlives_drivers = False

    def orphaned(self, sweeps: Collection[str]) -> list[tuple[Slot, TrialSpec]]:
        return []

    def adopt(self, slots: Iterable[Slot]) -> None:
        raise AssertionError(f"{slots} cannot have outlived anybody")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.host.close()

    def resize(self, n_jobs: int) -> None:
        pass

    def drive(self, main: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(main)

    async def slots(self, further: Callable[[], int] = lambda: MANY) -> AsyncIterator[HostSlot]:
        yield HostSlot(self.host)


@pytest.mark.slow
class TestFork(ProcessContract):
    @pytest.fixture(scope="class")
    @classmethod
    def launcher_for(cls) -> LauncherFor:
        return lambda task: HostLauncher(task, Isolation.PROCESS)


@pytest.mark.slow
class TestSpawn(ProcessContract):
    @pytest.fixture(scope="class")
    @classmethod
    def launcher_for(cls) -> LauncherFor:
        return lambda task: HostLauncher(task, Isolation.SPAWN)


def is_alive(pid: int) -> bool:
    """A zombie, which only its parent can take away, is dead."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.01)


@pytest.mark.slow
def test_an_app_that_starts_threads_on_import_is_spawned_and_says_so(tmp_path: Path) -> None:
    launcher = HostLauncher(threaded.returns_its_parents_threads, Isolation.PROCESS)
    (events,) = run_all(launcher, [spec_for(tmp_path, {"x": 1.0})])

    assert launcher.host.unforkable == "starts threads when it is imported (watcher)"
    assert events[-1].values == (1.0,)  # its own import started it: a fork would have none


def test_threads_of_numpy_do_not_keep_an_app_from_being_forked(tmp_path: Path) -> None:
    code = "import os, numpy; a = numpy.ones((500, 500)); a @ a; from sweeper.run.zygote import _unforkable"
    threads = "before = len(os.listdir('/proc/self/task')); print(before, _unforkable())"
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "4"}
    said = subprocess.check_output([sys.executable, "-c", f"{code}; {threads}"], env=environment, text=True)

    before, unforkable = said.split()
    assert int(before) > 1
    assert unforkable == "None"


def test_a_thread_that_only_gives_memory_back_does_not_keep_an_app_from_being_forked() -> None:
    names = "print(*(t.read_text().strip() for t in pathlib.Path('/proc/self/task').glob('*/comm')))"
    code = f"import pathlib, pyarrow; from sweeper.run.zygote import _unforkable; print(_unforkable()); {names}"
    unforkable, names = subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()

    assert "jemalloc_bg_thd" in names.split()
    assert unforkable == "None"


@pytest.mark.slow
@pytest.mark.parametrize("above", [0, 1], ids=["zygote", "supervisor"])
def test_a_killed_zygote_is_a_loss_and_leaves_nothing(tmp_path: Path, above: int) -> None:
    launcher = HostLauncher(apps.ends, Isolation.PROCESS)
    specs = [
        End("leaks_and_waits", None, None).spec(tmp_path, 0),
        End("returns_infinity", None, None).spec(tmp_path, 1),
    ]

    async def main() -> list[Event]:
        heard: list[Event] = []
        async for events in launcher.host.run(specs[0]):
            heard += events
            if isinstance(events[-1], Captured):
                await until((tmp_path / "signal-0").exists)
                psutil.Process(heard[0].pid).parents()[above].kill()  # type: ignore[union-attr]
        assert not any(map(is_alive, map(int, (tmp_path / "signal-0").read_text().split())))
        async for events in launcher.host.run(specs[1]):
            last = events[-1]
        return [heard[-1], last]

    with launcher:
        lost, next_one = launcher.drive(main())

    assert isinstance(lost, Ended)
    assert isinstance(next_one, Ended)
    assert (lost.failure, lost.error) == (Failure.LOST, "the trial's parent process was killed")
    assert next_one.state == TrialState.COMPLETE


def test_an_app_whose_import_kills_its_process_is_refused_with_how_it_ended() -> None:
    with (
        HostLauncher(deadly.returns_nothing, Isolation.PROCESS) as launcher,
        pytest.raises(
            LaunchError, match=r"cannot be imported.*:\nthe process that imports it died of signal 4 \(SIGILL\)"
        ),
    ):
        launcher.drive(launcher.host.ready())


def fragile_host(folder: Path, who: str, times: int) -> Host:
    environment = {"FRAGILE": str(folder / "imports"), "FRAGILE_WHO": who, "FRAGILE_TIMES": str(times)}
    return Host(App.of(fragile.returns_nothing, Callbacks()), environment)


@pytest.mark.slow
@pytest.mark.parametrize("who", ["itself", "above"])
def test_who_is_killed_while_it_imports_the_app_is_followed_by_another(tmp_path: Path, who: str) -> None:
    host = fragile_host(tmp_path, who, times=2)
    try:
        asyncio.run(host.ready())
    finally:
        host.close()

    assert (tmp_path / "imports").read_text() == "..."


@pytest.mark.slow
def test_but_not_for_ever(tmp_path: Path) -> None:
    host = fragile_host(tmp_path, "itself", times=9)
    with pytest.raises(LaunchError, match=r"the process that imports it died of signal 9 \(SIGKILL\)"):
        asyncio.run(host.ready())

    assert (tmp_path / "imports").read_text() == "..."


def test_who_asks_while_the_app_is_imported_waits_as_well(tmp_path: Path) -> None:
    host = fragile_host(tmp_path, "itself", times=0)

    async def main() -> bool:
        first = asyncio.create_task(host.ready())
        await asyncio.sleep(0)
        await host.ready()
        is_imported = (tmp_path / "imports").exists()
        await first
        return is_imported

    try:
        assert asyncio.run(main())
    finally:
        host.close()


def test_what_a_dead_slot_left_is_gone_once_another_begins(tmp_path: Path) -> None:
    """Slot and supervisor are killed together: only the marker in its environment still finds what the trial leaked."""
    code = (
        "import os, subprocess, sys; from sweeper.run.process import MARKER, marker; "
        "print(subprocess.Popen(['sleep', '600'], start_new_session=True, stdout=subprocess.DEVNULL, "
        "env=os.environ | {MARKER: marker()}).pid)"
    )
    leaked = int(subprocess.check_output([sys.executable, "-c", code]))
    ours = subprocess.Popen(["sleep", "600"], env=os.environ | {MARKER: marker()})
    assert is_alive(leaked)

    kill_leftovers()

    assert not is_alive(leaked)
    assert ours.poll() is None
    ours.kill()
    ours.wait()


def test_all_points_are_heard_while_the_trial_goes_on(tmp_path: Path) -> None:
    spec = dataclasses.replace(spec_for(tmp_path, {"signal": str(tmp_path / "go-on")}), limits=Limits(timeout_s=60.0))
    launcher = HostLauncher(apps.logs_and_waits, Isolation.PROCESS)

    async def main() -> list[Event]:
        heard: list[Event] = []
        async for events in launcher.host.run(spec):
            heard += apart(events)
            if isinstance(heard[-1], Measured) and heard[-1].step == 499:
                (tmp_path / "go-on").touch()
        return heard

    with launcher:
        heard = launcher.drive(main())

    assert [event.step for event in heard if isinstance(event, Measured)] == list(range(500))
    assert isinstance(heard[-1], Ended) and heard[-1].state == TrialState.COMPLETE


def test_a_disk_that_takes_nothing_more_loses_points_but_no_end(tmp_path: Path) -> None:
    full = [End(task, None, None).spec(tmp_path, i) for i, task in enumerate(["fills_the_disk", "returns_infinity"])]
    heard = run_all(HostLauncher(apps.ends, Isolation.PROCESS), full)

    assert [events[-1].state for events in heard] == [TrialState.COMPLETE] * 2
    assert heard[0][-1].values == (0.5,)
    assert "No space" not in str(heard[0])
    assert [event.step for event in heard[0] if isinstance(event, Measured)] == [0]
    assert not any(
        isinstance(event, Ended) for event in JournalReader(journal_path(full[0].folder, full[0].run), "").read()
    )
