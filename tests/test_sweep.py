from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import optuna
import pytest
from optuna.trial import TrialState

from sweeper import sweep
from sweeper.attempt import Attempts
from sweeper.budget import Budget
from sweeper.errors import ConfigError
from sweeper.lost import LostAttempts
from sweeper.packing import Packing
from sweeper.record import Storage
from sweeper.study import Asked
from sweeper.trial import Ended, Event, Failure, Reported, Resources, TrialSpec
from tests.simulation import Broke, SimulatedSlot, Simulation, spec_of, states


async def at_once(spec: TrialSpec, slot: SimulatedSlot) -> float:
    return float(spec.params["x"])  # type: ignore[arg-type]


@pytest.mark.parametrize("slots", [1, 3, 32])
def test_the_number_of_trials_is_exact(slots: int) -> None:
    study = Simulation(at_once, slots=slots, n_trials=20).run()

    assert states(study) == ["COMPLETE"] * 20
    assert [trial.number for trial in study.trials] == list(range(20))


def test_launching_again_finishes_what_is_missing_and_no_more() -> None:
    simulation = Simulation(at_once, n_trials=5)
    simulation.run()
    simulation.n_trials = 8
    simulation.run()
    study = simulation.run()

    assert states(study) == ["COMPLETE"] * 8


def test_a_slot_that_frees_asks_at_once() -> None:
    """One trial lasts until all others are done: with a barrier anywhere the sweep would never end."""
    others: list[int] = []
    all_others_done: list[asyncio.Event] = []

    async def objective(spec: TrialSpec, slot: SimulatedSlot) -> float:
        if not all_others_done:
            all_others_done.append(asyncio.Event())
        if spec.number == 0:
            await all_others_done[0].wait()
        else:
            others.append(spec.number)
            if len(others) == 9:
                all_others_done[0].set()
        return 0.0

    simulation = Simulation(objective, slots=2, n_trials=10)
    simulation.run()

    assert simulation.notebook.most_busy == 2
    assert sorted(others) == list(range(1, 10))


def test_every_run_is_on_record_before_it_runs() -> None:
    simulation = Simulation(at_once)

    async def objective(spec: TrialSpec, slot: SimulatedSlot) -> float:
        assert spec in simulation.notebook.runs
        return 0.0

    simulation.objective = objective
    study = simulation.run()

    assert states(study) == ["COMPLETE"] * 10
    assert sum(isinstance(event, Ended) for event in simulation.notebook.events) == 10


def test_pruning_from_inside_training() -> None:
    async def objective(spec: TrialSpec, slot: SimulatedSlot) -> float:
        for step in range(5):
            value = step if spec.number < 4 else 100.0
            if await slot.report(spec, step, value):
                raise optuna.TrialPruned
        return 4.0

    pruner = optuna.pruners.MedianPruner(n_startup_trials=4)
    study = Simulation(objective, slots=1, n_trials=6, pruner=pruner).run()

    assert states(study) == ["COMPLETE"] * 4 + ["PRUNED"] * 2
    assert study.trials[0].intermediate_values == {0: 0.0, 1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0}
    assert study.trials[5].intermediate_values == {0: 100.0}


def test_a_slot_has_cleared_up_before_its_trial_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    cleared: list[int] = []
    told: list[list[int]] = []
    run = SimulatedSlot.run

    async def clearing(slot: SimulatedSlot, spec: TrialSpec) -> AsyncIterator[tuple[Event, ...]]:
        async for events in run(slot, spec):
            yield events
        cleared.append(spec.number)

    async def objective(spec: TrialSpec, slot: SimulatedSlot) -> float:
        told.append(list(cleared))
        return 0.0

    monkeypatch.setattr(SimulatedSlot, "run", clearing)
    Simulation(objective, slots=1, n_trials=3).run()

    assert told == [[], [0], [0, 1]]


def test_draining_lets_running_trials_end() -> None:
    simulation = Simulation(at_once)

    async def objective(spec: TrialSpec, slot: SimulatedSlot) -> float:
        simulation.brake.drain()
        await asyncio.sleep(0)
        return 1.0

    simulation.objective = objective
    study = simulation.run()

    ran = {run.number for run in simulation.notebook.runs}
    assert 1 <= len(ran) <= 2
    assert all(state == ("COMPLETE" if n in ran else "WAITING") for n, state in enumerate(states(study)))


def test_a_trial_that_was_asked_for_before_draining_and_comes_after_it_goes_back_in_line() -> None:
    simulation = Simulation(at_once, slots=1)
    simulation.suggested = simulation.brake.drain  # as when the database answers after an outage
    study = simulation.run()

    assert states(study) == ["WAITING"]
    assert simulation.notebook.runs == []


def test_stopped_trials_are_in_line_again_under_their_number(sqlite_url: str) -> None:
    storage = Storage(sqlite_url)
    simulation = Simulation(at_once, slots=2, n_trials=4, storage=storage)

    async def stuck(spec: TrialSpec, slot: SimulatedSlot) -> float:
        if spec.number == 1:
            simulation.brake.stop()
        await asyncio.Event().wait()
        return 0.0

    simulation.objective = stuck
    study = simulation.run()
    assert states(study) == ["WAITING", "WAITING"]
    stopped = [trial.params for trial in study.trials]
    ends = [event for event in simulation.notebook.events if isinstance(event, Ended)]
    assert [end.failure for end in ends] == [Failure.STOPPED] * 2

    again = Simulation(at_once, n_trials=4, storage=storage)
    study = again.run()
    assert states(study) == ["COMPLETE"] * 4
    assert [trial.params for trial in study.trials[:2]] == stopped
    assert [(run.number, run.attempt) for run in again.notebook.runs] == [(0, 1), (1, 1), (2, 0), (3, 0)]
    storage.close()


def test_a_trial_that_cannot_be_composed_fails_alone() -> None:
    def spec(asked: Asked) -> TrialSpec:
        if asked.number == 1:
            raise ConfigError("model.depth cannot be 0")
        return spec_of(asked)

    study = Simulation(at_once, n_trials=4, spec=spec).run()

    assert states(study) == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]


def test_failures_beyond_the_budget_end_the_sweep() -> None:
    def spec(asked: Asked) -> TrialSpec:
        raise ConfigError("no")

    simulation = Simulation(at_once, slots=1, n_trials=50, spec=spec, budget=Budget(max_failures=2))
    study = simulation.run()

    assert states(study) == ["FAIL"] * 3
    assert simulation.notebook.notices[-1] == "no further trials: 3 trials failed, 2 are allowed"


def test_a_crashed_attempt_is_made_again_under_its_number(sqlite_url: str) -> None:
    async def objective(spec: TrialSpec, slot: SimulatedSlot) -> float:
        if spec.number == 1 and spec.attempt < 2:
            raise Broke(Failure.CRASHED)
        return float(spec.params["x"])  # type: ignore[arg-type]

    storage = Storage(sqlite_url)
    simulation = Simulation(objective, n_trials=4, attempts=Attempts(retries=2), storage=storage)
    study = simulation.run()

    assert states(study) == ["COMPLETE"] * 4
    runs = [run for run in simulation.notebook.runs if run.number == 1]
    assert [run.attempt for run in runs] == [0, 1, 2]
    assert len({tuple(run.params.items()) for run in runs}) == 1
    assert "trial 1 crashed: it broke; tried again (2 left)" in simulation.notebook.notices
    storage.close()


def test_a_trial_that_goes_on_failing_is_given_up_and_counted_once() -> None:
    async def objective(spec: TrialSpec, slot: SimulatedSlot) -> float:
        raise Broke(Failure.LOST if spec.number == 0 else Failure.ERROR)

    simulation = Simulation(objective, n_trials=2, slots=1, attempts=Attempts(retries=2))
    study = simulation.run()

    assert states(study) == ["FAIL", "FAIL"]
    assert [run.number for run in simulation.notebook.runs] == [0, 0, 0, 1]


def test_a_trial_that_comes_back_at_the_end_is_taken_by_a_slot_that_is_free() -> None:
    """The slot that lost it never comes back: without the other, which has had nothing to do, the sweep would hang."""
    slots: list[int] = []

    async def objective(spec: TrialSpec, slot: SimulatedSlot) -> float:
        slots.append(slot.name)
        if len(slots) == 2:
            await asyncio.sleep(0)
            slot.is_gone = True
            raise Broke(Failure.LOST)
        return 1.0

    simulation = Simulation(objective, n_trials=2, slots=2, attempts=Attempts(retries=1))
    study = simulation.run()

    assert states(study) == ["COMPLETE"] * 2
    assert len(slots) == 3
    assert slots[2] != slots[1]


def late(end: Ended | None) -> LostAttempts:
    """What is read of every lost attempt: one point, and this end."""

    def read(spec: TrialSpec) -> list[Event]:
        said: list[Event] = [Reported(spec.run, 1, 0.0, 0, 0.5)]
        return said if end is None else [*said, dataclasses.replace(end, run=spec.run)]

    return LostAttempts(read)


FINISHED_LATE = Ended("", 2, 0.0, TrialState.COMPLETE, values=(0.25,))


@pytest.mark.parametrize(
    ("end", "state", "failure"), [(None, "WAITING", Failure.STOPPED), (FINISHED_LATE, "COMPLETE", None)]
)
def test_who_is_told_to_stop_waits_for_no_slot_for_ever(
    monkeypatch: pytest.MonkeyPatch, end: Ended | None, state: str, failure: Failure | None
) -> None:
    monkeypatch.setattr(sweep, "_PATIENCE_S", 0.01)
    simulation = Simulation(at_once, slots=1, lost=late(end))

    async def stuck(*_: object) -> float:
        simulation.brake.stop()
        await asyncio.Event().wait()
        return 0.0

    async def heard_of_by_nobody(slot: SimulatedSlot, failure: Failure, error: str) -> None: ...

    monkeypatch.setattr(SimulatedSlot, "stop", heard_of_by_nobody)
    simulation.objective = stuck
    study = simulation.run()

    assert states(study) == [state]
    ends = [event for event in simulation.notebook.events if isinstance(event, Ended)]
    assert (ends[-1].state, ends[-1].failure) == (TrialState[state] if failure is None else TrialState.FAIL, failure)
    assert any(isinstance(event, Reported) for event in simulation.notebook.events)  # what its journal says is kept


def test_what_a_lost_attempt_has_said_is_kept_though_the_sweep_ends_before_the_next_one() -> None:
    simulation = Simulation(at_once, n_trials=1, slots=1, attempts=Attempts(retries=1), lost=late(None))

    async def objective(spec: TrialSpec, slot: SimulatedSlot) -> float:
        simulation.brake.drain()
        raise Broke(Failure.LOST)

    simulation.objective = objective
    study = simulation.run()

    assert states(study) == ["WAITING"]
    assert any(isinstance(event, Reported) for event in simulation.notebook.events)


def test_a_preempted_trial_goes_on_under_its_number_and_is_no_failure_and_no_retry() -> None:
    async def objective(spec: TrialSpec, slot: SimulatedSlot) -> float:
        if spec.number == 0 and spec.attempt < 3:
            raise Broke(Failure.PREEMPTED)
        return await at_once(spec, slot)

    simulation = Simulation(objective, n_trials=3, slots=1, budget=Budget(max_failures=0), attempts=Attempts(retries=0))
    study = simulation.run()

    assert states(study) == ["COMPLETE"] * 3
    assert [spec.attempt for spec in simulation.notebook.runs if spec.number == 0] == [0, 1, 2, 3]


def test_a_packed_trial_that_holds_far_too_much_is_stopped_and_goes_on_with_what_it_needs() -> None:
    packing = Packing(card=80 << 30)
    shares = []

    def spec(asked: Asked) -> TrialSpec:
        packing.need(asked.number, Resources(gpus=1.0, is_packed=True))
        return spec_of(asked)

    async def objective(spec: TrialSpec, slot: SimulatedSlot) -> float:
        shares.append((spec.number, packing.renewed(spec)))
        slot.measure(spec, 10, 4 << 30)
        slot.measure(spec, 100, 4 << 30)
        if spec.attempt == 0 and spec.number == 0:
            await asyncio.Event().wait()  # until it is stopped
        return 1.0

    simulation = Simulation(objective, spec=spec, n_trials=1, slots=1, packing=packing, attempts=Attempts(retries=0))
    packing.need(9, Resources(gpus=1.0, is_packed=True))  # another waits
    study = simulation.run()

    assert states(study) == ["COMPLETE"]
    assert [(number, held and (held.gpus, held.gpu_memory)) for number, held in shares] == [
        (0, (1.0, 0)),
        (0, (0.0, int(1.01 * (5 << 30)))),  # 4 GiB, a quarter for its first validation, and another run may differ
    ]
    assert any("held another share of its card" in notice for notice in simulation.notebook.notices)


def test_a_lost_attempt_that_had_ended_after_all_is_not_made_again() -> None:
    async def objective(spec: TrialSpec, slot: SimulatedSlot) -> float:
        raise Broke(Failure.LOST)

    simulation = Simulation(objective, n_trials=1, slots=1, attempts=Attempts(retries=1), lost=late(FINISHED_LATE))
    study = simulation.run()

    assert [trial.value for trial in study.trials] == [0.25]
    assert [run.attempt for run in simulation.notebook.runs] == [0]


@pytest.mark.parametrize("end", [None, dataclasses.replace(FINISHED_LATE, state=TrialState.FAIL, failure=Failure.LOST)])
def test_a_lost_attempt_that_had_not_ended_is_made_again_and_what_it_said_is_kept(end: Ended | None) -> None:
    async def objective(spec: TrialSpec, slot: SimulatedSlot) -> float:
        if spec.attempt == 0:
            raise Broke(Failure.LOST)
        return 1.0

    simulation = Simulation(objective, n_trials=1, slots=1, attempts=Attempts(retries=1), lost=late(end))
    study = simulation.run()

    assert [trial.value for trial in study.trials] == [1.0]
    assert [run.attempt for run in simulation.notebook.runs] == [0, 1]
    first = simulation.notebook.runs[0].run
    assert any(isinstance(event, Reported) and event.run == first for event in simulation.notebook.events)


def test_what_a_lost_attempt_finishes_while_a_newer_one_runs_is_its_record_and_no_more() -> None:
    simulation = Simulation(at_once, n_trials=1, slots=1, attempts=Attempts(retries=1), lost=late(None))

    async def objective(spec: TrialSpec, slot: SimulatedSlot) -> float:
        if spec.attempt == 0:
            raise Broke(Failure.LOST)
        simulation.lost.read = late(FINISHED_LATE).read
        return 1.0

    simulation.objective = objective
    study = simulation.run()

    assert [trial.value for trial in study.trials] == [1.0]
    first = simulation.notebook.runs[0].run
    ends = [e for e in simulation.notebook.events if isinstance(e, Ended) and e.run == first]
    assert ends[-1].values == (0.25,)


def test_a_later_attempt_reports_its_own_steps_to_the_pruner() -> None:
    async def objective(spec: TrialSpec, slot: SimulatedSlot) -> float:
        await slot.report(spec, 0, 10.0 + spec.attempt)
        if spec.attempt == 0:
            await slot.report(spec, 1, 20.0)
            raise Broke(Failure.CRASHED)
        return 1.0

    study = Simulation(objective, n_trials=1, slots=1, attempts=Attempts(retries=1)).run()

    assert study.trials[0].intermediate_values == {0: 11.0, 1: 20.0}


def test_a_trial_on_its_way_when_the_sweep_is_stopped_never_runs() -> None:
    simulation = Simulation(at_once, n_trials=3, slots=1)

    def spec(asked: Asked) -> TrialSpec:
        simulation.brake.stop()
        return spec_of(asked)

    simulation.spec = spec
    study = simulation.run()

    assert states(study) == ["WAITING"]
    (ended,) = simulation.notebook.events
    assert isinstance(ended, Ended)
    assert ended.failure == Failure.STOPPED


def test_an_error_of_ours_leaves_nothing_running() -> None:
    async def objective(spec: TrialSpec, slot: SimulatedSlot) -> float:
        if spec.number == 1:
            raise OSError("the network is down")
        await asyncio.Event().wait()
        return 0.0

    simulation = Simulation(objective, slots=3, n_trials=10)
    with pytest.raises(OSError, match="the network is down"):
        simulation.run()

    stored = optuna.load_study(study_name="simulated", storage=simulation.storage)
    assert [trial.state for trial in stored.trials] == [TrialState.WAITING] * 3


def test_the_same_seed_gives_the_same_suggestions() -> None:
    first, second = (Simulation(at_once, slots=1).run() for _ in range(2))

    assert [trial.params for trial in first.trials] == [trial.params for trial in second.trials]
