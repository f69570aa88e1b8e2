"""The contract of a launcher: a test class that every implementation passes.

Subclass it with a fixture `launcher_for` that makes a launcher for a task function.
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from optuna.trial import TrialState

from sweeper.launch import Launcher
from sweeper.run.app import Task
from sweeper.run.journal import JournalReader, journal_path
from sweeper.trial import Captured, Ended, Event, Failure, Measured, Reported, Started, TrialSpec
from tests.contracts.ends import OF_A_PROCESS, OF_ANY_TASK, End
from tests.events import apart
from tests.run import apps
from tests.spec import spec_for

LauncherFor = Callable[[Task], Launcher]


@dataclass(frozen=True)
class Heard:
    """One trial, and what came of it."""

    spec: TrialSpec
    events: list[Event]


def run_ends(launcher_for: LauncherFor, ends: Sequence[End], folder: Path) -> list[Heard]:
    """Run them one after the other in one slot: none may harm the next."""
    specs = [end.spec(folder, number) for number, end in enumerate(ends)]
    heard = run_all(launcher_for(apps.ends), specs)
    return [Heard(spec, events) for spec, events in zip(specs, heard, strict=True)]


def check_end(end: End, heard: Heard) -> None:
    """What was heard is `end`, and the journal says the same."""
    last = heard.events[-1]
    assert isinstance(last, Ended)
    assert (last.state, last.failure) == (end.state, end.failure), last
    assert last.error == end.error or re.fullmatch(end.error or "", last.error or ""), last.error
    assert (end.traceback or "") in (last.traceback or "")
    assert (end.log or "") in (Path(heard.spec.folder) / "trial.log").read_text()
    assert JournalReader(journal_path(heard.spec.folder, heard.spec.run), heard.spec.run).read() == heard.events
    assert [event.seq for event in heard.events] == list(range(len(heard.events)))


def run_all(launcher: Launcher, specs: list[TrialSpec], prune_at: int | None = None) -> list[list[Event]]:
    """Run the specs one after the other on the first slot; answers every report, with prune from `prune_at` on."""

    async def main() -> list[list[Event]]:
        async for slot in launcher.slots():
            heard = []
            for spec in specs:
                events: list[Event] = []
                async for batch in slot.run(spec):
                    events += apart(batch)
                    for event in batch:
                        if isinstance(event, Reported):
                            await slot.answer(event.step, prune_at is not None and event.step >= prune_at)
                heard.append(events)
            return heard
        raise AssertionError("the launcher has no slot")

    with launcher:
        return launcher.drive(main())


class LauncherContract:
    def test_events_come_whole_and_in_order(self, launcher_for: LauncherFor, tmp_path: Path) -> None:
        (events,) = run_all(launcher_for(apps.returns), [spec_for(tmp_path, {"x": 3.0})])

        assert [type(event) for event in events] == [Started, Captured, Measured, Captured, Ended]
        assert [event.seq for event in events] == [0, 1, 2, 3, 4]
        assert events[-1].state == TrialState.COMPLETE
        assert events[-1].values == (9.0,)
        assert events[2].metrics == {"loss": 1.5}

    def test_the_journal_says_the_same(self, launcher_for: LauncherFor, tmp_path: Path) -> None:
        spec = spec_for(tmp_path, {"x": 3.0})
        (events,) = run_all(launcher_for(apps.returns), [spec])

        assert JournalReader(journal_path(spec.folder, spec.run), spec.run).read() == events

    def test_a_folder_as_hydra_leaves_it(self, launcher_for: LauncherFor, tmp_path: Path) -> None:
        spec = spec_for(tmp_path, {"x": 3.0})
        run_all(launcher_for(apps.returns), [spec])

        folder = Path(spec.folder)
        assert (folder / ".hydra" / "config.yaml").read_text() == "x: 3.0\n"
        assert (folder / ".hydra" / "overrides.yaml").read_text() == "- x=3.0\n"
        assert "job:" in (folder / ".hydra" / "hydra.yaml").read_text()
        assert "trained on 3.0" in (folder / "trial.log").read_text()

    @pytest.fixture(scope="class")
    @classmethod
    def ended(cls, launcher_for: LauncherFor, tmp_path_factory: pytest.TempPathFactory) -> list[Heard]:
        return run_ends(launcher_for, OF_ANY_TASK, tmp_path_factory.mktemp("ends"))

    @pytest.mark.parametrize("index", range(len(OF_ANY_TASK)), ids=[end.task for end in OF_ANY_TASK])
    def test_every_end_is_a_value(self, ended: list[Heard], index: int) -> None:
        check_end(OF_ANY_TASK[index], ended[index])

    def test_the_pruner_is_asked_and_heard(self, launcher_for: LauncherFor, tmp_path: Path) -> None:
        (events,) = run_all(launcher_for(apps.asks_the_pruner), [spec_for(tmp_path, {"x": 1.0})], prune_at=4)

        assert [event.step for event in events if isinstance(event, Reported)] == [0, 1, 2, 3, 4]
        assert events[-1].state == TrialState.PRUNED

    def test_trials_know_who_they_are(self, launcher_for: LauncherFor, tmp_path: Path) -> None:
        specs = [spec_for(tmp_path, {"x": 1.0}, number=number) for number in (4, 5)]
        heard = run_all(launcher_for(apps.tells_identity), specs)

        assert [events[-1].values for events in heard] == [(4.0,), (5.0,)]

    def test_a_running_trial_can_be_stopped(self, launcher_for: LauncherFor, tmp_path: Path) -> None:
        signal = tmp_path / "running"
        launcher = launcher_for(apps.waits)

        async def main() -> Ended:
            async for slot in launcher.slots():
                async for batch in slot.run(spec_for(tmp_path, {"signal": str(signal)})):
                    if isinstance(batch[-1], Ended):
                        return batch[-1]
                    while not signal.exists():
                        await asyncio.sleep(0.01)
                    await slot.stop(Failure.STOPPED, "stopped by the test")
            raise AssertionError("the trial never ended")

        with launcher:
            ended = launcher.drive(main())

        assert (ended.state, ended.failure) == (TrialState.FAIL, Failure.STOPPED)

    def test_a_stop_that_comes_late_ends_no_other_trial(self, launcher_for: LauncherFor, tmp_path: Path) -> None:
        launcher = launcher_for(apps.returns)

        async def main() -> list[Event]:
            ends: list[Event] = []
            async for slot in launcher.slots():
                for number in range(2):
                    async for batch in slot.run(spec_for(tmp_path, {"x": 1.0}, number=number)):
                        if isinstance(batch[-1], Ended):
                            ends.append(batch[-1])
                    await slot.stop(Failure.STOPPED, "when the trial had ended")
                return ends
            return ends

        with launcher:
            ends = launcher.drive(main())

        assert [end.state for end in ends if isinstance(end, Ended)] == [TrialState.COMPLETE] * 2


class ProcessContract(LauncherContract):
    """The contract of a launcher that gives each trial a process of its own."""

    @pytest.fixture(scope="class")
    @classmethod
    def ended_process(cls, launcher_for: LauncherFor, tmp_path_factory: pytest.TempPathFactory) -> list[Heard]:
        return run_ends(launcher_for, OF_A_PROCESS, tmp_path_factory.mktemp("ends"))

    @pytest.mark.parametrize("index", range(len(OF_A_PROCESS)), ids=[end.task for end in OF_A_PROCESS])
    def test_the_end_of_a_process_is_told(self, ended_process: list[Heard], index: int) -> None:
        check_end(OF_A_PROCESS[index], ended_process[index])

    def test_a_kill_right_after_a_log_call_loses_nothing(self, launcher_for: LauncherFor, tmp_path: Path) -> None:
        (events,) = run_all(launcher_for(apps.logs_and_is_killed), [spec_for(tmp_path, {"x": 1.0})])

        points = [(event.step, event.metrics) for event in events if isinstance(event, Measured)]
        assert points == [(step, {"loss": step / 2}) for step in range(3000)]
        assert isinstance(events[-1], Ended) and events[-1].failure == Failure.CRASHED

    def test_what_leaks_is_gone_before_the_next_trial(self, launcher_for: LauncherFor, tmp_path: Path) -> None:
        specs = [End("leaks", None, None).spec(tmp_path, 0), End("returns_infinity", None, None).spec(tmp_path, 1)]
        alive: list[int] = []

        async def main() -> None:
            async for slot in launcher.slots():
                async for _ in slot.run(specs[0]):
                    pass
                async for batch in slot.run(specs[1]):
                    if isinstance(batch[0], Started):
                        leaked = map(int, (tmp_path / "signal-0").read_text().split())
                        alive.extend(filter(psutil.pid_exists, leaked))
                return

        launcher = launcher_for(apps.ends)
        with launcher:
            launcher.drive(main())

        assert len((tmp_path / "signal-0").read_text().split()) == 4
        assert alive == []

    @pytest.mark.slow
    def test_a_million_lines_are_kept_whole(self, launcher_for: LauncherFor, tmp_path: Path) -> None:
        spec = spec_for(tmp_path, {"x": 1.0})
        (events,) = run_all(launcher_for(apps.prints_a_million_lines), [spec])

        assert events[-1].values == (0.0,)
        with (Path(spec.folder) / "trial.log").open() as log:
            assert all(line == f"line {i}\n" for i, line in enumerate(log))
            log.seek(0)
            assert sum(1 for _ in log) == 1_000_000

    def test_attempts_share_checkpoints_and_nothing_else(self, launcher_for: LauncherFor, tmp_path: Path) -> None:
        first = spec_for(tmp_path, {"x": 1.0})
        specs = [
            dataclasses.replace(
                first,
                run=f"{attempt:032x}",
                attempt=attempt,
                folder=f"{first.folder}/{attempt}",
                trial_folder=first.folder,
            )
            for attempt in range(3)
        ]
        heard = run_all(launcher_for(apps.counts_checkpoints), specs)

        assert [events[-1].failure for events in heard] == [Failure.CRASHED, Failure.CRASHED, None]
        assert heard[2][-1].values == (2.0,)
        assert len(list((Path(first.folder) / "checkpoints").iterdir())) == 3
        for spec, events in zip(specs, heard, strict=True):
            assert JournalReader(journal_path(spec.folder, spec.run), spec.run).read() == events
