from __future__ import annotations

import pytest
from optuna.trial import TrialState, create_trial

from sweeper.cli.progress import Best, Progress
from sweeper.trial import Failure
from tests.cli.events import complete, failed, measured, pruned, reported, spec
from tests.events import together


def progress(directions: tuple[str, ...] = ("maximize",), target: int | None = 10) -> Progress:
    return Progress("digits", directions, target, [], now=100.0)


def test_counts_by_state_and_failure_kind() -> None:
    shown = progress()
    for number, ended in enumerate(
        [complete(spec(0), 0.5), pruned(spec(1)), failed(spec(2), kind=Failure.OOM), failed(spec(3))]
    ):
        shown.opened(spec(number), 100.0)
        shown.heard(spec(number), ended)
        assert shown.running == {}  # ended, though not yet told
        shown.told(spec(number), ended, 101.0)
    assert (shown.ended, shown.done) == (4, 4)
    assert shown.counts == {TrialState.COMPLETE: 1, TrialState.PRUNED: 1, TrialState.FAIL: 2}
    assert shown.failures == {"oom": 1, "error": 1}
    assert [number for number, _ in shown.recent_failures] == [2, 3]


@pytest.mark.parametrize(("direction", "number"), [("maximize", 1), ("minimize", 0)])
def test_best_is_the_first_of_the_best(direction: str, number: int) -> None:
    shown = progress((direction,))
    for trial, value in enumerate((0.1, 0.9, 0.9, 0.5)):
        shown.told(spec(trial), complete(spec(trial), value), 101.0)
    assert shown.best[0] is not None and shown.best[0].number == number


def test_each_objective_has_its_best() -> None:
    shown = progress(("maximize", "minimize"))
    shown.opened(spec(0, metric_names=("acc", "size")), 100.0)
    shown.told(spec(0), complete(spec(0), 0.9, 5.0), 101.0)
    shown.told(spec(1), complete(spec(1), 0.8, 3.0), 101.0)
    shown.told(spec(2), complete(spec(2), 0.7, float("nan")), 101.0)
    assert shown.best == [Best(0.9, 0), Best(3.0, 1)]
    assert shown.objectives == ("acc", "size")


def test_what_earlier_launches_finished_counts_and_sets_the_mark() -> None:
    before = [
        create_trial(value=0.7),
        create_trial(value=0.99, constraints={"memory": 1.0}),
        create_trial(state=TrialState.FAIL),
        create_trial(state=TrialState.RUNNING),
    ]
    shown = Progress("digits", ("maximize",), 10, before, now=0.0)
    assert (shown.finished_before, shown.ended, shown.done) == (3, 0, 3)
    shown.told(spec(5), complete(spec(5), 0.6), 1.0)
    assert shown.best[0] is not None and shown.best[0].value == 0.7


def test_the_last_that_a_trial_said() -> None:
    shown = progress()
    trial = spec(0, metric_names=("val/accuracy",))
    shown.heard(trial, measured(trial, 1, loss=3.0))  # late, or of another driver's trial: nobody waits for it
    shown.opened(trial, 100.0)
    shown.heard(trial, measured(trial, 1, loss=1.0, lr=0.1))
    shown.heard(trial, measured(trial, 2, loss=0.5))
    shown.heard(trial, reported(trial, 2, 0.8))
    (running,) = shown.running.values()
    assert (running.step, running.metrics, running.reported) == (2, {"loss": 0.5, "lr": 0.1}, 0.8)
    shown.heard(trial, together([measured(trial, 3, lr=0.2), measured(trial, 4, acc=0.9), measured(trial, 5, acc=1.0)]))
    assert (running.step, running.metrics) == (5, {"loss": 0.5, "lr": 0.2, "acc": 1.0})


def test_a_new_attempt_takes_the_place_of_the_old() -> None:
    shown = progress()
    shown.opened(spec(0), 100.0)
    shown.heard(spec(0), failed(spec(0), kind=Failure.LOST))
    shown.opened(spec(0, attempt=1), 105.0)
    assert [running.since for running in shown.running.values()] == [105.0]
    assert shown.ended == 0


def test_time_left_follows_the_speed() -> None:
    shown = progress(target=500)
    assert shown.left_s(110.0) is None
    shown.opened(spec(0), 100.0)
    for number in range(100):
        shown.told(spec(number), pruned(spec(number)), 100.0 + number + 1)
    assert shown.left_s(200.0) == pytest.approx(400.0)
    for number in range(100, 200):  # half as fast from here on
        shown.told(spec(number), pruned(spec(number)), 200.0 + 2 * (number - 99))
    assert shown.left_s(400.0) == pytest.approx(600.0, rel=0.02)
    assert progress(target=None).left_s(1.0) is None


def test_the_start_of_a_cluster_does_not_count_against_the_speed() -> None:
    shown = progress(target=10)
    shown.opened(spec(0), 130.0)
    shown.told(spec(0), complete(spec(0), 0.5), 131.0)
    assert shown.left_s(131.0) == pytest.approx(9.0)
