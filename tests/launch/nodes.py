"""Scenes on a cluster of several nodes, each in a process of its own: `python -m tests.launch.nodes SCENE FOLDER`.

A scene prints one line of JSON, which its test in test_nodes.py reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
from hydra._internal.callbacks import Callbacks

from sweeper.history import History
from sweeper.launch import Slot
from sweeper.launch.ray import RayLauncher
from sweeper.launch.slot import Placement
from sweeper.run.app import App
from sweeper.run.fence import Fence
from sweeper.run.journal import JournalReader, journal_path
from sweeper.share.claim import Applicant
from sweeper.trial import Ended, Event, Resources, Started, TrialSpec
from tests.events import apart
from tests.launch.scene import end_where_stuck, within_patience
from tests.run import apps
from tests.spec import spec_for

LEASE_S = 8.0
BROKEN = {"num_failures": -1, "req_failure_prob": 20, "resp_failure_prob": 20}  # percents; Ray's own means of testing


@contextlib.contextmanager
def cluster(nodes: int) -> Iterator[Any]:
    """A head that runs nothing, and so many nodes of one CPU."""
    os.environ |= {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_worker_niceness": "0",  # on a busy machine, nice workers wait for ever
        "RAY_health_check_initial_delay_ms": "0",
        "RAY_health_check_period_ms": "500",
        "RAY_health_check_failure_threshold": "4",
        "RAY_agent_register_timeout_ms": "120000",  # a busy machine
        "RAY_raylet_start_wait_time_s": "120",
    }
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.nodes = [made.add_node(num_cpus=1) for _ in range(nodes)]
    try:
        yield made
    finally:
        made.shutdown()


def launcher(address: str, sweep: str = "a" * 32, lease_s: float = 60.0) -> RayLauncher:
    app = App.of(apps.logs_until_told, Callbacks())
    return RayLauncher(Placement(app, lease_s=lease_s), [Resources()], None, address, applicant=Applicant(sweep))


def trial(folder: Path, number: int, attempt: int = 0) -> TrialSpec:
    spec = spec_for(folder, {"until": folder / f"until-{number}-{attempt}"}, number=number)
    return dataclasses.replace(
        spec, attempt=attempt, folder=f"{spec.folder}/attempt-{attempt}", trial_folder=spec.folder
    )


def end(folder: Path, number: int, attempt: int = 0) -> None:
    (folder / f"until-{number}-{attempt}").touch()


class Trial:
    """A trial under way, and what was heard of it so far."""

    def __init__(self, events: AsyncIterator[tuple[Event, ...]]) -> None:
        self.events: list[Event] = []
        self._started = asyncio.Event()
        self._task = asyncio.create_task(self._listen(events))

    async def _listen(self, batches: AsyncIterator[tuple[Event, ...]]) -> Ended:
        async for batch in batches:
            self.events += apart(batch)
            if len(self.events) > 3:
                self._started.set()
        last = self.events[-1]
        assert isinstance(last, Ended)
        return last

    async def underway(self) -> int:
        """Wait until it has logged something; its process."""
        await self._started.wait()
        return next(event.pid for event in self.events if isinstance(event, Started))

    async def ended(self) -> Ended:
        return await self._task


def said(ended: Ended) -> dict[str, Any]:
    return {"state": ended.state.name, "failure": ended.failure, "error": ended.error, "values": ended.values}


async def a_node_dies(folder: Path, made: Any, slots: AsyncIterator[Slot]) -> dict[str, Any]:
    two = [await anext(slots), await anext(slots)]
    running = [Trial(slot.run(trial(folder, number))) for number, slot in enumerate(two)]
    for one in running:
        await one.underway()
    made.remove_node(made.nodes.pop(), allow_graceful=False)
    done, _ = await asyncio.wait([one._task for one in running], return_when=asyncio.FIRST_COMPLETED)
    lost = 0 if running[0]._task in done else 1
    waiting = asyncio.ensure_future(two[lost].ready())
    end(folder, 1 - lost)
    other = await running[1 - lost].ended()
    was_waiting = not waiting.done()
    made.nodes.append(made.add_node(num_cpus=1))
    await waiting
    end(folder, lost, 1)
    again = await Trial(two[lost].run(trial(folder, lost, 1))).ended()
    return {
        "lost": said(await running[lost].ended()),
        "other": said(other),
        "was_waiting": was_waiting,
        "again": said(again),
    }


async def a_node_joins(folder: Path, made: Any, slots: AsyncIterator[Slot]) -> dict[str, Any]:
    first = await anext(slots)
    following = asyncio.ensure_future(anext(slots))
    running = Trial(first.run(trial(folder, 0)))
    await running.underway()
    was_alone = not following.done()
    made.nodes.append(made.add_node(num_cpus=1))
    second = await following
    end(folder, 1)
    ended = await Trial(second.run(trial(folder, 1))).ended()
    end(folder, 0)
    return {"was_alone": was_alone, "second": said(ended), "first": said(await running.ended())}


def slot_of(pid: int) -> list[psutil.Process]:
    """The processes of the slot that runs trial `pid`: the actor, its supervisor and zygote, the trial."""
    process = psutil.Process(pid)
    return [*reversed(process.parents()[:3]), process]


async def a_slot_is_paused_for_long(folder: Path, made: Any, slots: AsyncIterator[Slot]) -> dict[str, Any]:
    """The actor, its supervisor and zygote, and the trial stop; a new attempt begins elsewhere; then they go on."""
    first, second = await anext(slots), await anext(slots)
    old = trial(folder, 0)
    running = Trial(first.run(old))
    processes = slot_of(await running.underway())
    for process in processes:
        process.suspend()
    lost = await running.ended()
    new = Trial(second.run(trial(folder, 0, 1)))
    await new.underway()
    steps = (Path(old.trial_folder) / "checkpoints/steps").read_text().count("0\n")
    points = len(JournalReader(journal_path(old.folder, old.run), old.run).read())
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()
    await asyncio.to_thread(psutil.wait_procs, processes)
    end(folder, 0, 1)
    ended = await new.ended()
    events = JournalReader(journal_path(old.folder, old.run), old.run).read()
    return {
        "lost": said(lost),
        "new": said(ended),
        "is_open": Fence(old.trial_folder, 0).is_open(),
        "stale_steps": (Path(old.trial_folder) / "checkpoints/steps").read_text().count("0\n") - steps,
        "stale_points": sum(not isinstance(event, Ended) for event in events[points:]),
    }


async def a_slot_is_paused_briefly(folder: Path, made: Any, slots: AsyncIterator[Slot]) -> dict[str, Any]:
    slot = await anext(slots)
    running = Trial(slot.run(trial(folder, 0)))
    processes = slot_of(await running.underway())
    for process in processes:
        process.suspend()
    await asyncio.sleep(10.0)
    for process in processes:
        process.resume()
    end(folder, 0)
    ended = await running.ended()
    return {"ended": said(ended), "seqs": [event.seq for event in running.events]}


async def a_connection_breaks(folder: Path, made: Any, slots: AsyncIterator[Slot]) -> dict[str, Any]:
    """Of the driver's calls to its slots one in five never arrives, and of one in five the answer does not."""
    slot = await anext(slots)
    heard = []
    for number in range(3):
        running = Trial(slot.run(trial(folder, number)))
        while len(running.events) < 20:
            await asyncio.sleep(0.05)
        end(folder, number)
        heard.append((said(await running.ended()), [event.seq for event in running.events]))
    return {"ended": [last for last, _ in heard], "seqs": [seqs for _, seqs in heard]}


async def _ready(slot: Slot, offered: AsyncIterator[Slot]) -> Slot:
    """The slot, or a further one that got its place: what an adopted slot held goes back to the sweep where its trial
    has ended before the cluster's queue has said what the sweep may hold.
    """
    own, further = asyncio.ensure_future(slot.ready()), asyncio.ensure_future(anext(offered))
    await asyncio.wait({own, further}, return_when=asyncio.FIRST_COMPLETED)
    found = further.result() if further.done() else slot
    for waiting in (own, further):
        waiting.cancel()
    await asyncio.wait({own, further})
    await found.ready()
    return found


async def a_driver_dies(folder: Path, made: Any, slots: AsyncIterator[Slot]) -> dict[str, Any]:
    """Another process drives a trial and is killed; its slot is adopted by this one."""
    driver = subprocess.Popen([sys.executable, "-m", "tests.launch.nodes", "drive", str(folder), made.address])
    journals = folder / "7" / "attempt-0" / ".sweeper"
    while not any(path.stat().st_size > 5000 for path in journals.glob("*.jsonl")):
        await asyncio.sleep(0.05)
    driver.kill()
    driver.wait()
    with launcher(made.address, "b" * 32) as second:
        adopted = await asyncio.to_thread(second.orphaned, ["d" * 32])
        found, spec = adopted[0]
        second.adopt([found])
        offered = second.slots()
        slot = await anext(offered)
        running = Trial(slot.run(spec))
        await running.underway()
        end(folder, 7)
        ended = await running.ended()
        end(folder, 8)
        again = await Trial((await _ready(slot, offered)).run(trial(folder, 8))).ended()
        await offered.aclose()
    events = JournalReader(journal_path(spec.folder, spec.run), spec.run).read()
    return {
        "adopted": len(adopted),
        "number": spec.number,
        "ended": said(ended),
        "whole": running.events == events,
        "starts": sum(isinstance(event, Started) for event in events),
        "steps": [event.metrics["step"] for event in events if hasattr(event, "step")],
        "again": said(again),
    }


APP = """
import os, time
from pathlib import Path

import hydra
import sweeper
from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path=None)
def main(cfg: DictConfig) -> float:
    folder = Path(cfg.folder)
    for epoch in range(4):
        with (folder / f"epochs-{cfg.x}").open("a") as file:
            file.write(f"{epoch} ")
        sweeper.log({"epoch": epoch}, step=epoch)
        while epoch == 1 and not (folder / "go-on").exists():
            time.sleep(0.02)
    return float(cfg.x)


if __name__ == "__main__":
    main()
"""


# Leases of the length that a test can wait for: `python HASTY app.py …`.
HASTY = """
import runpy, sys
from sweeper import multirun
multirun.LEASE_S, multirun.BEAT_S = 2.0, 0.2
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


async def a_driver_of_a_sweep_dies(folder: Path, made: Any, slots: AsyncIterator[Slot]) -> dict[str, Any]:
    """A launch is killed with both of its trials in the middle; then there is the same launch again.

    The same once more, with a second driver that had joined before.
    """
    found = {}
    for how in ("again", "joined"):
        (folder / how).mkdir()
        (folder / how / "app.py").write_text(APP)
        (folder / how / "hasty.py").write_text(HASTY)
        found[how] = await _killed_and_gone_on(folder / how, how, made)
    return found


async def _killed_and_gone_on(folder: Path, how: str, made: Any) -> dict[str, Any]:
    words = [
        *("app.py", "-m", "hydra/sweeper=sweeper", "hydra/sweeper/sampler=grid", "+x=1,2,3", f"+folder={folder}"),
        *(f"hydra.sweeper.ray.address={made.address}", f"hydra.sweep.dir={folder}/sweep"),
    ]
    environment = os.environ | {
        "SWEEPER_STORAGE": f"sqlite:///{folder}/sweeper.db",
        "SWEEPER_ARTIFACTS": str(folder / "a"),
    }

    def launched(*command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, *command], cwd=folder, env=environment, stdout=log, stderr=log)

    with (folder / "log").open("w") as log:
        first = launched(*words)
        while sum(path.read_text() == "0 1 " for path in folder.glob("epochs-*")) < 2:
            await asyncio.sleep(0.05)
        history = History(f"sqlite:///{folder}/sweeper.db")
        if how == "joined":
            second = launched("hasty.py", *words, "hydra.sweeper.join=true")
            while len(history.sweeps("app")) < 2:
                await asyncio.sleep(0.05)
        first.kill()
        first.wait()
        (folder / "go-on").touch()
        if how == "again":
            second = launched(*words)
        await asyncio.to_thread(second.wait)
    runs = [run for trial in history.trials("app") for run in history.runs("app", trial.number)]
    return {
        "status": second.returncode,
        "log": (folder / "log").read_text(),
        "epochs": sorted(path.read_text() for path in folder.glob("epochs-*")),
        "runs": [(run.attempt, run.state, run.failure) for run in runs],
        "points": [len(history.curves(run.run)["epoch"].steps) for run in runs],
    }


def drive(folder: Path, address: str) -> None:
    """Drive one trial until killed."""

    async def main(made: RayLauncher) -> None:
        async for slot in made.slots():
            await Trial(slot.run(trial(folder, 7))).ended()

    with launcher(address, "d" * 32) as made:
        made.drive(main(made))


SCENES = {
    "a_node_dies": (a_node_dies, 2),
    "a_node_joins": (a_node_joins, 1),
    "a_slot_is_paused_for_long": (a_slot_is_paused_for_long, 2),
    "a_slot_is_paused_briefly": (a_slot_is_paused_briefly, 1),
    "a_connection_breaks": (a_connection_breaks, 1),
    "a_driver_dies": (a_driver_dies, 1),
    "a_driver_of_a_sweep_dies": (a_driver_of_a_sweep_dies, 2),
}


def main(name: str, folder: Path) -> None:
    scene, nodes = SCENES[name]
    end_where_stuck()
    lease_s = LEASE_S if name == "a_slot_is_paused_for_long" else 60.0
    if name == "a_connection_breaks":
        os.environ |= {"RAY_testing_rpc_failure": json.dumps({"CoreWorkerService.grpc_client.PushTask": BROKEN})}
    with cluster(nodes) as made, launcher(made.address, lease_s=lease_s) as ours:
        print("\n" + json.dumps(ours.drive(within_patience(scene(folder, made, ours.slots())))))


if __name__ == "__main__":
    if sys.argv[1] == "drive":
        drive(Path(sys.argv[2]), sys.argv[3])
    else:
        main(sys.argv[1], Path(sys.argv[2]))
