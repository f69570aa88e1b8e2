"""What a trial holds beside its own row, as rows of Optuna's child tables."""

from __future__ import annotations

import json

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages._rdb.models import TrialIntermediateValueModel, TrialValueModel
from optuna.trial import FrozenTrial
from sqlalchemy import Table

from sweeper.record import optuna_rows as rows

ChildRow = tuple[Table, str | int, dict[str, object]]  # where it belongs, its name, step or objective, its columns


def param_columns(value: float, distribution: BaseDistribution) -> dict[str, object]:
    """The columns of a param, its value in the internal representation."""
    return {"param_value": float(value), "distribution_json": distribution_to_json(distribution)}


def point_columns(value: float) -> dict[str, object]:
    """The columns of an intermediate value."""
    stored, kind = TrialIntermediateValueModel.intermediate_value_to_stored_repr(float(value))
    return {"intermediate_value": stored, "intermediate_value_type": kind.name}


def value_columns(value: float) -> dict[str, object]:
    """The columns of an objective value."""
    stored, kind = TrialValueModel.value_to_stored_repr(float(value))
    return {"value": stored, "value_type": kind.name}


def children_of(trial: FrozenTrial) -> tuple[ChildRow, ...]:
    """All that a trial holds beside its own row."""
    found: list[ChildRow] = []
    for name, value in trial.params.items():
        distribution = trial.distributions[name]
        found.append((rows.trial_params, name, param_columns(distribution.to_internal_repr(value), distribution)))
    for table, attrs in (
        (rows.trial_user_attrs, trial.user_attrs),
        (rows.trial_system_attrs, trial.system_attrs),
    ):
        found.extend((table, key, {"value_json": json.dumps(value)}) for key, value in attrs.items())
    for step, value in trial.intermediate_values.items():
        found.append((rows.trial_points, step, point_columns(value)))
    for objective, value in enumerate(trial.values or ()):
        found.append((rows.trial_values, objective, value_columns(value)))
    return tuple(found)
