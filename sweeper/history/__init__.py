"""Every read: studies, trials with runs and metrics, the best of them; from any database of Optuna's."""

from sweeper.history.inventory import Inventory
from sweeper.history.kept_rows import ArtifactRow, BlobUse, DataRow, HeldOut, Looks
from sweeper.history.reader import History
from sweeper.history.records import Record
from sweeper.history.rows import (
    FINISHED,
    STATES,
    AuditRow,
    BestRow,
    CodeRow,
    CostRow,
    Curve,
    EnvironmentRow,
    Hit,
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
    "CostRow",
    "Curve",
    "DataRow",
    "EnvironmentRow",
    "HeldOut",
    "History",
    "Hit",
    "Inventory",
    "Looks",
    "Record",
    "RunRow",
    "SpanRow",
    "StudyRow",
    "SweepRow",
    "TrialDetail",
    "TrialName",
    "TrialRow",
]
