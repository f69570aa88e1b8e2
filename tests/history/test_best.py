from __future__ import annotations

import math
import uuid

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState

from sweeper.history import History
from sweeper.history.best import non_dominated
from tests.history.database import Written, add

VALUES = st.sampled_from([-math.inf, -1.0, 0.0, 0.5, 2.0, math.inf])
STATES = st.sampled_from([TrialState.COMPLETE, TrialState.COMPLETE, TrialState.FAIL])
CONSTRAINT = st.sampled_from([None, -1.0, 0.0, 1.0])
REUSES = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.slow
@REUSES
@given(st.data(), st.sampled_from(["minimize", "maximize"]))
def test_single_objective_agrees_with_optuna(written: Written, data: st.DataObject, direction: str) -> None:
    study = written.study(uuid.uuid4().hex, (direction,))
    for value, state, constraint in data.draw(st.lists(st.tuples(VALUES, STATES, CONSTRAINT), max_size=6)):
        values = (value,) if state is TrialState.COMPLETE else ()
        add(study, *values, state=state, constraints=None if constraint is None else {"c": constraint})
    best = History(written.url).best(study.study_name, 100)
    sign = -1 if direction == "maximize" else 1
    feasible = [
        trial
        for trial in study.get_trials(states=(TrialState.COMPLETE,))
        if all(value <= 0 for value in trial.constraints.values())
    ]
    expected = sorted(feasible, key=lambda trial: (sign * trial.value, trial.number))
    assert [row.number for row in best] == [trial.number for trial in expected]
    assert [row.number for row in History(written.url).best(study.study_name, 2)] == [
        trial.number for trial in expected[:2]
    ]
    front = {trial.number for trial in study.best_trials}
    assert {row.number for row in best if row.values == best[0].values} == front


@REUSES
@given(st.data(), st.lists(st.sampled_from(["minimize", "maximize"]), min_size=2, max_size=3))
def test_pareto_front_agrees_with_optuna(written: Written, data: st.DataObject, directions: list[str]) -> None:
    study = written.study(uuid.uuid4().hex, directions)
    point = st.tuples(*[VALUES] * len(directions))
    for values, state, constraint in data.draw(st.lists(st.tuples(point, STATES, CONSTRAINT), max_size=6)):
        given_values = values if state is TrialState.COMPLETE else ()
        add(study, *given_values, state=state, constraints=None if constraint is None else {"c": constraint})
    best = History(written.url).best(study.study_name)
    theirs = study.best_trials
    assert [row.number for row in best] == [trial.number for trial in theirs]
    assert [list(row.values) for row in best] == [trial.values for trial in theirs]


@given(st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=30))
def test_non_dominated_is_the_definition(points: list[tuple[float, ...]]) -> None:
    def dominated(point: tuple[float, ...]) -> bool:
        return any(other != point and all(a <= b for a, b in zip(other, point, strict=True)) for other in points)

    assert non_dominated(np.array(points)).tolist() == [not dominated(point) for point in points]


def test_constraints_as_optuna_4_wrote_them(written: Written) -> None:
    study = written.study("old", ("minimize",))
    for value, constraints in ((1.0, [0.5, -1.0]), (2.0, [-1.0, 0.0])):
        add(study, value)
        trial_id = study.get_trials(deepcopy=False)[-1]._trial_id
        with written.engine.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO trial_system_attributes (trial_id, key, value_json) VALUES (?, 'constraints', ?)",
                (trial_id, str(constraints)),
            )
    assert [row.number for row in History(written.url).best("old")] == [1]
    assert History(written.url).trial("old", 0).constraints == {"0": 0.5, "1": -1.0}
