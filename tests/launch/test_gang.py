"""A trial on several nodes: ranks that find each other, one end, and a failure of any that is the trial's."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hydra._internal.callbacks import Callbacks
from optuna.trial import TrialState

from sweeper.launch.gang import Gang
from sweeper.run.app import App, Task
from sweeper.run.host import Host
from sweeper.trial import Ended, Event, Failure, TrialSpec
from tests.events import apart
from tests.gpu_bench import tasks
from tests.spec import spec_for

pytestmark = pytest.mark.slow


class Node:
    """A host as the slot of one node."""

    def __init__(self, task: Task) -> None:
        self.host = Host(App.of(task, Callbacks()), {})
        self.specs: list[TrialSpec] = []

    def run(self, spec: TrialSpec) -> AsyncIterator[tuple[Event, ...]]:
        self.specs.append(spec)
        return self.host.run(spec)

    async def address(self) -> tuple[str, int]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return "127.0.0.1", free.getsockname()[1]

    async def answer(self, step: int, prune: bool) -> None:
        self.host.answer(step, prune)

    async def stop(self, failure: Failure, error: str) -> None:
        self.host.stop(self.specs[-1].run, failure, error, grace_s=1.0)


def run(task: Task, spec: TrialSpec, size: int) -> tuple[list[Event], list[Node]]:
    nodes = [Node(task) for _ in range(size)]

    async def main() -> list[Event]:
        gang = Gang(nodes)  # type: ignore[arg-type]
        return [event async for batch in gang.run(spec) for event in apart(batch)]

    try:
        return asyncio.run(main()), nodes
    finally:
        for node in nodes:
            node.host.close()


def test_ranks_find_each_other_and_have_one_end(tmp_path: Path) -> None:
    (tmp_path / "meeting").mkdir()
    spec = replace(spec_for(tmp_path, {"meeting": tmp_path / "meeting"}), artifacts=str(tmp_path / "store"))
    events, nodes = run(tasks.meets_the_others, spec, 3)

    assert isinstance(end := events[-1], Ended) and (end.state, end.values) == (TrialState.COMPLETE, (3.0,))
    assert {event.run for event in events} == {spec.run}
    specs = [node.specs[0] for node in nodes]
    assert [one.variables["RANK"] for one in specs] == ["0", "1", "2"]
    assert len({(one.variables["MASTER_ADDR"], one.variables["MASTER_PORT"]) for one in specs}) == 1
    assert len({one.folder for one in specs}) == 3 and [bool(one.artifacts) for one in specs] == [True, False, False]


def test_where_one_rank_fails_the_trial_fails_with_its_words(tmp_path: Path) -> None:
    events, _ = run(tasks.rank_one_fails, spec_for(tmp_path, {"x": 1}), 2)

    assert isinstance(end := events[-1], Ended)
    assert (end.state, end.failure) == (TrialState.FAIL, Failure.ERROR)
    assert end.error == "rank 1: ValueError: no data on this node" and "no data on this node" in (end.traceback or "")
