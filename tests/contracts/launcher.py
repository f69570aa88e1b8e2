"""The contract of a launcher: a test class that every implementation passes.

Subclass it with a fixture `launcher_for` that makes a launcher for a task function.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.trial import TrialState

from sweeper.launch import Launcher
from sweeper.run.app import Task
from sweeper.run.journal import JournalReader, journal_path
from sweeper.trial import Captured, Ended, Event, Failure, Measured, Reported, Started, TrialSpec
from tests.run import apps
from tests.spec import spec_for

LauncherFor = Callable[[Task], Launcher]


def run_all(launcher: Launcher, specs: list[TrialSpec], prune_at: int | None = None) -> list[list[Event]]:
    """Run the specs one after the other on the first slot; answers every report, with prune from `prune_at` on."""

    async def main() -> list[list[Event]]:
        async for slot in launcher.slots():
            heard = []
            for spec in specs:
                events: list[Event] = []
                async for batch in slot.run(spec):
                    events += batch
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

    @pytest.mark.parametrize(
        ("task", "state", "failure", "error"),
        [
            (apps.raises, TrialState.FAIL, Failure.ERROR, "ValueError: learning rate too high"),
            (
                apps.exits,
                TrialState.FAIL,
                Failure.ERROR,
                "the task called sys.exit(3); return the objective instead",
            ),
            (
                apps.returns_nothing,
                TrialState.FAIL,
                Failure.INVALID_VALUE,
                "the task returned None; it must return one number, the objective",
            ),
            (apps.runs_out_of_memory, TrialState.FAIL, Failure.OOM, "MemoryError: no room for 12 GiB"),
            (apps.prunes, TrialState.PRUNED, None, None),
        ],
    )
    def test_every_end_is_a_value(
        self,
        launcher_for: LauncherFor,
        tmp_path: Path,
        task: Task,
        state: TrialState,
        failure: Failure | None,
        error: str | None,
    ) -> None:
        (events,) = run_all(launcher_for(task), [spec_for(tmp_path, {"x": 1.0})])

        assert (events[-1].state, events[-1].failure, events[-1].error) == (state, failure, error)

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
