from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
from hydra._internal.callbacks import Callbacks
from optuna.trial import TrialState

from sweeper.errors import LaunchError
from sweeper.launch.cluster import local_node, local_ray
from sweeper.launch.ray import RayLauncher
from sweeper.launch.slot import NodeGone, Placement
from sweeper.run.app import App, Task
from sweeper.trial import Failure, Resources
from tests.contracts.launcher import LauncherFor, ProcessContract, run_all
from tests.run import apps
from tests.spec import spec_for

pytestmark = pytest.mark.slow

T = TypeVar("T")


@pytest.fixture(scope="module", autouse=True)
def ray() -> Iterator[None]:
    """One local Ray for this file: a launcher uses a Ray that its process has joined already."""
    with local_ray():
        yield


class TestRayLauncher(ProcessContract):
    @pytest.fixture(scope="class")
    @classmethod
    def launcher_for(cls) -> LauncherFor:
        def make(task: Task) -> RayLauncher:
            return RayLauncher(Placement(App.of(task, Callbacks())), [Resources()], n_jobs=1, address=None)

        return make

    def test_everything_listens_on_the_loopback_address(self, launcher_for: LauncherFor, tmp_path: Path) -> None:
        launcher = launcher_for(apps.returns)

        async def main() -> set[str]:
            async for _ in launcher.slots():
                break
            return {
                connection.laddr.ip
                for connections in _of_family(psutil.Process.net_connections)
                for connection in connections
                if connection.status == psutil.CONN_LISTEN
            }

        with launcher:
            listening = launcher.drive(main())

        assert listening
        assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}

    def test_this_machine_is_seen_as_ray_sees_it_without_starting_anything(self, launcher_for: LauncherFor) -> None:
        import ray

        (node,), alone = ray.nodes(), local_node()

        assert {name: alone["Resources"].get(name) for name in ("CPU", "GPU")} == {
            name: node["Resources"].get(name) for name in ("CPU", "GPU")
        }
        prospect = launcher_for(apps.returns).prospect()
        assert [found.cpus for found in prospect.nodes] == [node["Resources"]["CPU"]]
        assert prospect.slots == 1

    def test_what_is_more_than_the_machine_has_is_foretold_in_the_words_of_the_launch(self) -> None:
        launcher = RayLauncher(Placement(App.of(apps.returns, Callbacks())), [Resources(cpus=9999)], None, None)

        with pytest.raises(LaunchError, match="a trial needs 9999 CPUs") as launched:
            run_all(launcher, [])
        with pytest.raises(LaunchError) as foretold:
            launcher.prospect()

        assert str(foretold.value) == str(launched.value)

    def test_an_app_that_cannot_be_imported_says_why(self, tmp_path: Path) -> None:
        app = App.of(apps.returns, Callbacks())
        broken = App(**(vars(app) | {"module": "no_such_module"}))

        with pytest.raises(LaunchError, match="no_such_module"):
            run_all(RayLauncher(Placement(broken), [Resources()], 1, None), [])


def test_a_slot_that_was_given_back_takes_no_place_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its trial may be heard still: the ranks of a gang are heard on tasks of their own."""
    made: list[Placement] = []
    make = Placement.actor
    monkeypatch.setattr(Placement, "actor", lambda placement: made.append(placement) or make(placement))
    launcher = RayLauncher(Placement(App.of(apps.waits, Callbacks())), [Resources()], 1, None)

    async def main() -> list[object]:
        async for slot in launcher.slots():
            events: list[object] = []
            async for batch in slot.run(spec_for(tmp_path, {"signal": str(tmp_path / "running")})):
                if not events:
                    slot.kill()
                events += batch
            with pytest.raises(NodeGone):
                await slot.ready()
            return events
        return []

    with launcher:
        events = launcher.drive(main())

    assert (events[-1].state, events[-1].failure) == (TrialState.FAIL, Failure.LOST)
    assert len(made) == 1


def _command(process: psutil.Process) -> tuple[int, list[str]]:
    return process.pid, process.cmdline()


def _of_family(look: Callable[[psutil.Process], T]) -> Iterator[T]:
    """What is seen of each process below this one; Ray's own come and go meanwhile."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            yield look(process)


def test_a_killed_slot_is_a_lost_trial(tmp_path: Path) -> None:
    path = tmp_path / "running"
    launcher = RayLauncher(Placement(App.of(apps.waits, Callbacks())), [Resources()], 1, None)

    async def main() -> list[object]:
        async for slot in launcher.slots():
            events: list[object] = []
            async for batch in slot.run(spec_for(tmp_path, {"signal": str(path)})):
                if not events:
                    (actor,) = (pid for pid, words in _of_family(_command) if "SlotActor" in " ".join(words))
                    os.kill(actor, signal.SIGKILL)
                events += batch
            return events
        return []

    with launcher:
        events = launcher.drive(main())

    assert (events[-1].state, events[-1].failure) == (TrialState.FAIL, Failure.LOST)
