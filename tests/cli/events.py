"""Trials and events for tests of the display."""

from __future__ import annotations

from optuna.trial import TrialState

from sweeper.trial import Ended, Failure, Measured, Reported, TrialSpec


def spec(number: int, *, attempt: int = 0, study: str = "digits", metric_names: tuple[str, ...] = ()) -> TrialSpec:
    return TrialSpec(
        study=study,
        number=number,
        run=f"{number:016x}{attempt:016x}",
        attempt=attempt,
        params={"lr": 0.001, "model": "mlp"},
        overrides=(),
        config={},
        base=b"",
        payload=b"",
        folder="/tmp",
        seed=0,
        metric_names=metric_names,
    )


def measured(trial: TrialSpec, step: int, **metrics: float) -> Measured:
    return Measured(trial.run, step, 0.0, step, metrics)


def reported(trial: TrialSpec, step: int, value: float) -> Reported:
    return Reported(trial.run, step, 0.0, step, value)


def complete(trial: TrialSpec, *values: float) -> Ended:
    return Ended(trial.run, 99, 0.0, TrialState.COMPLETE, values, runtime_s=2.5)


def pruned(trial: TrialSpec) -> Ended:
    return Ended(trial.run, 99, 0.0, TrialState.PRUNED, runtime_s=1.5)


def failed(trial: TrialSpec, error: str = "ValueError: no", kind: Failure = Failure.ERROR) -> Ended:
    return Ended(trial.run, 99, 0.0, TrialState.FAIL, failure=kind, error=error, runtime_s=0.5)
