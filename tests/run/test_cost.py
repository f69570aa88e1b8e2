"""Costs as objectives: what the task returns, what the engine adds, and what nobody knows."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
from optuna.trial import TrialState

from sweeper.run.cost import filled, insisted
from sweeper.run.outcome import of_return
from sweeper.trial import Ended, Failure, Resources, TrialSpec
from tests.spec import spec_for


def spec(folder: Path, *names: str) -> TrialSpec:
    made = dataclasses.replace(spec_for(folder, {}), directions=len(names), metric_names=names)
    return dataclasses.replace(made, resources=Resources(gpus=2.0, nodes=2))


def end(values: tuple[float, ...], **what: object) -> Ended:
    return Ended("r", 0, 0.0, TrialState.COMPLETE, values, runtime_s=90.0, **what)  # type: ignore[arg-type]


@pytest.mark.parametrize("returned", [0.5, {"acc": 0.5}])
def test_the_task_returns_what_is_its_own(tmp_path: Path, returned: object) -> None:
    outcome = of_return(returned, spec(tmp_path, "gpu_hours", "acc"))
    assert outcome.values is not None and math.isnan(outcome.values[0]) and outcome.values[1] == 0.5


def test_a_mapping_without_what_is_its_own_says_so(tmp_path: Path) -> None:
    outcome = of_return({"loss": 1.0}, spec(tmp_path, "acc", "runtime_s"))
    assert outcome.error == (
        "the returned mapping lacks acc; it must return a mapping with a finite number for each of: acc"
    )


def test_cards_held_times_the_time_where_nobody_measured_and_what_was_measured_where_somebody_did(
    tmp_path: Path,
) -> None:
    wanted = spec(tmp_path, "acc", "gpu_seconds", "runtime_s")
    assert filled(end((0.5, math.nan, math.nan)), wanted).values == (0.5, 360.0, 90.0)
    assert filled(end((0.5, 360.0, 90.0), gpu_seconds=400.0), wanted).values == (0.5, 400.0, 90.0)


def test_a_value_of_the_task_with_the_name_of_a_cost_stays(tmp_path: Path) -> None:
    given = end((0.5, 7.0), metrics={"acc": 0.5, "runtime_s": 7.0})
    assert filled(given, spec(tmp_path, "acc", "runtime_s")).values == (0.5, 7.0)


def test_a_cost_that_nobody_knows_is_no_value(tmp_path: Path) -> None:
    wanted = spec(tmp_path, "acc", "energy_j")
    failed = insisted(filled(end((0.5, math.nan)), wanted), wanted)
    assert (failed.state, failed.failure) == (TrialState.FAIL, Failure.INVALID_VALUE)
    assert "energy_j is an objective and was not measured" in (failed.error or "")
