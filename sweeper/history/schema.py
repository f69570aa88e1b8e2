"""Optuna's tables as far as they are read, in SQLAlchemy Core: its own models would load all of Optuna."""

from __future__ import annotations

from sqlalchemy import DateTime, Double, Enum, Integer, String, column, table

OPTUNA_VERSION = "v3.2.0.a"  # alembic's name for the schema that Optuna 3.2 to 5.0 write

# Types of their own on PostgreSQL, which compares them with nothing else.
_direction = Enum("NOT_SET", "MINIMIZE", "MAXIMIZE", name="studydirection")
_state = Enum("RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING", name="trialstate")
_value_type = Enum("FINITE", "INF_POS", "INF_NEG", name="trialvaluetype")
_intermediate_value_type = Enum("FINITE", "INF_POS", "INF_NEG", "NAN", name="trialintermediatevaluetype")

alembic_version = table("alembic_version", column("version_num", String))

studies = table("studies", column("study_id", Integer), column("study_name", String))

study_directions = table(
    "study_directions",
    column("study_id", Integer),
    column("objective", Integer),
    column("direction", _direction),
)

study_system_attributes = table(
    "study_system_attributes",
    column("study_id", Integer),
    column("key", String),
    column("value_json", String),
)

trials = table(
    "trials",
    column("trial_id", Integer),
    column("number", Integer),
    column("study_id", Integer),
    column("state", _state),
    column("datetime_start", DateTime),  # UTC without a zone
    column("datetime_complete", DateTime),
)

trial_values = table(
    "trial_values",
    column("trial_id", Integer),
    column("objective", Integer),
    column("value", Double),
    column("value_type", _value_type),
)

trial_params = table(
    "trial_params",
    column("param_id", Integer),
    column("trial_id", Integer),
    column("param_name", String),
    column("param_value", Double),
    column("distribution_json", String),
)

trial_user_attributes = table(
    "trial_user_attributes",
    column("trial_id", Integer),
    column("key", String),
    column("value_json", String),
)

trial_system_attributes = table(
    "trial_system_attributes",
    column("trial_id", Integer),
    column("key", String),
    column("value_json", String),
)

trial_intermediate_values = table(
    "trial_intermediate_values",
    column("trial_id", Integer),
    column("step", Integer),
    column("intermediate_value", Double),
    column("intermediate_value_type", _intermediate_value_type),
)
