"""What a run uses of its cards, measured while it runs, on a bench; on no card, nothing is measured."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hydra._internal.callbacks import Callbacks
from optuna.trial import TrialState

from sweeper.run.app import App, Task
from sweeper.run.host import Host
from sweeper.run.journal import JournalReader, journal_path
from sweeper.run.process import MARKER
from sweeper.trial import Ended, Event, Metered, Resources, Started, TrialSpec
from tests.events import apart
from tests.gpu_bench import GIB, Bench, Card, tasks
from tests.spec import spec_for


@pytest.fixture
def bench(gpu_library: Path, tmp_path: Path) -> Bench:
    made = Bench(gpu_library, tmp_path / "cards", [Card(f"GPU-{i}", utilization=50, power_mw=300_000) for i in "ab"])
    made.write()
    return made


async def run(task: Task, spec: TrialSpec, environment: dict[str, str]) -> AsyncIterator[Event]:
    host = Host(App.of(task, Callbacks()), environment)
    try:
        async for batch in host.run(spec):
            for event in apart(batch):
                yield event
    finally:
        host.close()


def all_of(task: Task, spec: TrialSpec, environment: dict[str, str]) -> list[Event]:
    async def gather() -> list[Event]:
        return [event async for event in run(task, spec, environment)]

    return asyncio.run(gather())


@pytest.mark.slow
def test_costs_are_objectives_that_the_task_need_not_return(bench: Bench, tmp_path: Path) -> None:
    names = ("value", "gpu_hours", "peak_gpu_memory_bytes")
    held = dataclasses.replace(spec_for(tmp_path, {"gib": 3}), resources=Resources(gpus=0.5))
    spec = dataclasses.replace(held, directions=3, metric_names=names)
    end = all_of(tasks.occupies, spec, bench.environment() | {"CUDA_VISIBLE_DEVICES": "1"})[-1]
    assert isinstance(end, Ended) and end.values is not None and end.gpu_seconds is not None
    assert end.values == (4.0, end.gpu_seconds / 3600, 3 * GIB)


@pytest.mark.slow
def test_peak_time_and_energy_of_a_run_and_its_journal(bench: Bench, tmp_path: Path) -> None:
    spec = dataclasses.replace(spec_for(tmp_path, {"gib": 3}), resources=Resources(gpus=0.5))
    events = all_of(tasks.occupies, spec, bench.environment() | {"CUDA_VISIBLE_DEVICES": "1"})

    end, points = events[-1], [event for event in events if isinstance(event, Metered)]
    assert isinstance(end, Ended) and end.state == TrialState.COMPLETE
    assert (end.peak_gpu_memory_bytes, end.gpu_memory_basis) == (3 * GIB, "processes")
    assert end.gpu_seconds is not None and 0.5 * end.runtime_s <= end.gpu_seconds
    assert end.energy_j is not None and 0 < end.energy_j <= 300 * end.gpu_seconds
    assert points[-1].metrics == {
        "system/gpu_memory_bytes": 3.0 * GIB,
        "system/gpu_utilization": 0.5,
        "system/gpu_power_w": 300.0,
        "system/gpu_temperature_c": 35.0,
    }
    assert [point.seq for point in points] == list(range(len(points)))
    assert JournalReader(journal_path(spec.folder, spec.run), spec.run).read() == events


@pytest.mark.slow
def test_where_the_driver_tells_of_no_process_the_card_counts_and_that_is_said(bench: Bench, tmp_path: Path) -> None:
    spec = spec_for(tmp_path, {"until": tmp_path / "until"})
    heard: list[Event] = []

    async def main() -> None:
        bench.change(0, used=1 * GIB)
        async for event in run(tasks.waits, spec, bench.environment() | {"CUDA_VISIBLE_DEVICES": "0"}):
            heard.append(event)
            if isinstance(event, Metered):
                bench.change(0, used=6 * GIB, processes=((1, -1),))  # somebody, of whom nothing is known
                if event.peak_gpu_memory_bytes == 5 * GIB:
                    (tmp_path / "until").touch()

    asyncio.run(main())
    end = heard[-1]
    assert isinstance(end, Ended)
    assert (end.peak_gpu_memory_bytes, end.gpu_memory_basis) == (5 * GIB, "cards")


@pytest.mark.slow
def test_a_driver_that_hangs_holds_up_no_trial(bench: Bench, tmp_path: Path) -> None:
    spec, hang = spec_for(tmp_path, {"until": tmp_path / "until"}), tmp_path / "hang"
    heard: list[Event] = []

    async def main() -> None:
        async for event in run(tasks.waits, spec, bench.environment() | {"CUDA_VISIBLE_DEVICES": "0"}):
            heard.append(event)
            if isinstance(event, Started):
                hang.touch()
                bench.hang = hang
                bench.write()
                (tmp_path / "until").touch()

    asyncio.run(main())
    assert isinstance(end := heard[-1], Ended) and end.state == TrialState.COMPLETE
    hang.unlink()


@pytest.mark.parametrize("environment", [{}, {"CUDA_VISIBLE_DEVICES": ""}, {"CUDA_VISIBLE_DEVICES": "-1"}])
def test_nothing_is_loaded_or_started_where_no_card_is_to_be_seen(bench: Bench, environment: dict[str, str]) -> None:
    """Without a driver for want of one; with one, because none of its cards may be used."""
    ask = "import sys; from sweeper.run import meter; print(meter.started(), 'pynvml' in sys.modules)"
    given = {name: value for name, value in os.environ.items() if name not in ("CUDA_VISIBLE_DEVICES", MARKER)}
    given |= (bench.environment() if environment else {}) | environment
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True, env=given)
    assert done.stdout == "None False\n"
