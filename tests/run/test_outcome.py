from __future__ import annotations

import dataclasses
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from optuna.trial import TrialState

from sweeper.run.outcome import of_return
from sweeper.trial import Failure, TrialSpec
from tests.spec import spec_for


@pytest.fixture
def spec(tmp_path: Path) -> TrialSpec:
    return spec_for(tmp_path, {"x": 1.0})


@pytest.mark.parametrize(
    ("returned", "value"),
    [
        (1, 1.0),
        (-0.0, -0.0),
        (float("inf"), float("inf")),
        (Decimal("0.5"), 0.5),
        (np.float32(0.5), 0.5),
        (np.array(3), 3.0),
    ],
)
def test_numbers_are_values(spec: TrialSpec, returned: object, value: float) -> None:
    outcome = of_return(returned, spec)

    assert outcome.state == TrialState.COMPLETE
    assert outcome.values is not None
    assert str(outcome.values[0]) == str(value)


@pytest.mark.parametrize(
    ("returned", "error"),
    [
        (None, "the task returned None; it must return one number, the objective"),
        (float("nan"), "the task returned NaN; it must return one number, the objective"),
        ("3.5", "the task returned str '3.5'; it must return one number, the objective"),
        (True, "the task returned bool True; it must return one number, the objective"),
        (1j, "the task returned complex 1j; it must return one number, the objective"),
        (
            10**400,
            "the task returned an integer too large for a float; it must return one number, the objective",
        ),
        ([1.0], "the task returned list [1.0]; it must return one number, the objective"),
        (
            {"acc": 1.0},
            "the task returned a mapping with the keys acc; say which one is the objective with "
            "hydra.sweeper.direction={NAME: minimize} or return the number itself",
        ),
    ],
)
def test_anything_else_fails_with_its_reason(spec: TrialSpec, returned: object, error: str) -> None:
    outcome = of_return(returned, spec)

    assert (outcome.state, outcome.failure, outcome.error) == (TrialState.FAIL, Failure.INVALID_VALUE, error)


def test_several_objectives_need_as_many_values(spec: TrialSpec) -> None:
    two = dataclasses.replace(spec, directions=2)

    assert of_return((1, 2.5), two).values == (1.0, 2.5)
    assert of_return([1], two).error == "the task returned 1 values; it must return 2 numbers, one for each direction"
    assert of_return(1.0, two).state == TrialState.FAIL


def test_a_mapping_gives_the_named_objectives_and_the_rest_as_metrics(spec: TrialSpec) -> None:
    named = dataclasses.replace(spec, directions=2, metric_names=("acc", "ms"))

    outcome = of_return({"ms": 3, "acc": 0.9, "note": "fine", "loss": 0.1}, named)

    assert outcome.values == (0.9, 3.0)
    assert outcome.metrics == {"ms": 3.0, "acc": 0.9, "loss": 0.1}
    assert of_return({"acc": 0.9}, named).error == (
        "the returned mapping lacks ms; it must return a mapping with a finite number for each of: acc, ms"
    )
