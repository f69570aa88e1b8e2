"""Every read: studies, trials with runs and metrics, the best of them; from any database of Optuna's."""

from sweeper.history.inventory import Inventory
from sweeper.history.reader import History
from sweeper.history.rows import (
    FINISHED,
    STATES,
    BestRow,
    CodeRow,
    Curve,
    EnvironmentRow,
    RunRow,
    StudyRow,
    SweepRow,
    TrialDetail,
    TrialName,
    TrialRow,
)

__all__ = [
    "FINISHED",
    "STATES",
    "BestRow",
    "CodeRow",
    "Curve",
    "EnvironmentRow",
    "History",
    "Inventory",
    "RunRow",
    "StudyRow",
    "SweepRow",
    "TrialDetail",
    "TrialName",
    "TrialRow",
]
