"""`hydra/callbacks: sweeper`: every run of an unchanged Hydra app is on record, without a sweep too.

Hydra imports this module when it makes its callbacks; what records is imported when a job begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

if TYPE_CHECKING:
    from sweeper.singlerun import SingleRun


class RecordRuns(Callback):
    """Keyword arguments: storage, artifacts, study, require, seed; None leaves them to `hydra.sweeper` and the
    environment.
    """

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self._run: SingleRun | None = None

    def on_job_start(self, config: DictConfig, *, task_function: Any, **kwargs: Any) -> None:
        from sweeper.singlerun import begin

        self._run = begin(task_function, config, self._settings)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        run, self._run = self._run, None
        if run is None:
            return
        if job_return.status == JobStatus.COMPLETED:
            run.returned(job_return.return_value)
        else:
            run.raised(job_return._return_value)
