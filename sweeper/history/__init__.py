"""Every read: studies, trials with runs and metrics, the best of them; from any database of Optuna's."""

from sweeper.history.inventory import Inventory
from sweeper.history.reader import History
from sweeper.history.rows import (
    FINISHED,
    STATES,
    ArtifactRow,
    AuditRow,
    BestRow,
    BlobUse,
    CodeRow,
    Curve,
    DataRow,
    EnvironmentRow,
    HeldOut,
    Looks,
    RunRow,
    SpanRow,
    StudyRow,
    SweepRow,
    TrialDetail,
    TrialName,
    TrialRow,
)

__all__ = [
    "FINISHED",
    "STATES",
    "ArtifactRow",
    "AuditRow",
    "BestRow",
    "BlobUse",
    "CodeRow",
    "Curve",
    "DataRow",
    "EnvironmentRow",
    "HeldOut",
    "History",
    "Inventory",
    "Looks",
    "RunRow",
    "SpanRow",
    "StudyRow",
    "SweepRow",
    "TrialDetail",
    "TrialName",
    "TrialRow",
]
