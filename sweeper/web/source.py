"""What pages read from: one database and the stores of its artifacts."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from starlette.requests import Request

from sweeper.history import History
from sweeper.history.survey import Survey
from sweeper.provenance.store import has_scheme
from sweeper.sight import Sight

NOWHERE = Sight("nowhere", remarks=("This site was told of no cluster and of no machine.",))


@dataclass(frozen=True)
class Source:
    """One database, read-only."""

    history: History
    survey: Survey
    artifacts: str | None  # the store, where it is not the one on record
    dashboard: str  # the command that opens the same studies in optuna-dashboard
    look: Callable[[], Sight]  # at the cluster, or at this machine
    now: Callable[[], float] = time.time

    @classmethod
    def of(cls, url: str, artifacts: str | None = None, look: Callable[[], Sight] = lambda: NOWHERE) -> Source:
        """Open a database. Raises StorageError."""
        history = History(url)
        return cls(history, Survey(url), artifacts, dashboard_command(history, artifacts), look)

    def seen(self) -> Sight:
        """What there is to see of the cluster, with the trials that the database knows to run on each card."""
        found, trials = self.look(), self.history.on_gpus()
        return replace(found, gpus=[{**card, "trials": trials.get(str(card["uuid"]), [])} for card in found.gpus])


def source_of(request: Request) -> Source:
    """What the site that a request came to reads from."""
    source: Source = request.scope["source"]
    return source


def dashboard_command(history: History, artifacts: str | None) -> str:
    """How to open the same database and files in optuna-dashboard; a password is left for the reader to put in."""
    where = history.where.replace("postgresql://", "postgresql+psycopg://", 1)
    stores = [store for store in (artifacts, *history.artifact_stores()) if store and not has_scheme(store)]
    words = ["optuna-dashboard", where, *(["--artifact-dir", f"{stores[0]}/optuna"] if stores else [])]
    return shlex.join(words)
