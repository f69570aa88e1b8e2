"""What is on record, for notebooks.

runs = sweeper.open("sqlite:///sweeper.db").study("digits").runs()
runs.frame().sort_values("value.val/accuracy").tail()
runs[17].curve("val/accuracy")
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, overload

from sweeper.archive.table import columns, flat
from sweeper.config.settings import DEFAULT_STORAGE
from sweeper.errors import ConfigError
from sweeper.history import ArtifactRow, Curve, DataRow, History, Hit, Record, StudyRow

if TYPE_CHECKING:
    import pandas


class Runs(Sequence["Run"]):
    """Trials in order of their numbers, each with its newest run."""

    def __init__(self, history: History, records: Sequence[Record]) -> None:
        self._history = history
        self._records = records

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> Runs: ...
    def __getitem__(self, index: int | slice) -> Run | Runs:
        if isinstance(index, slice):
            return Runs(self._history, self._records[index])
        return Run(self._history, self._records[index])

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Run]:
        return (Run(self._history, record) for record in self._records)

    def __repr__(self) -> str:
        return f"<{len(self)} runs; .frame() makes a table of them>"

    def frame(self) -> pandas.DataFrame:
        """A row for each trial, with the columns of `sweeper export`. Raises ConfigError where pandas is missing."""
        try:
            import pandas
        except ImportError as error:
            raise ConfigError("a frame needs pandas: type pip install 'sweeper[pandas]'") from error
        rows = [flat(record) for record in self._records]
        return pandas.DataFrame(rows, columns=columns(rows))


class Run:
    """One trial and its newest run; everything of `sweeper.history.Record`, curves and files read when asked for."""

    def __init__(self, history: History, record: Record) -> None:
        self._history = history
        self.record = record
        self.study = record.study
        self.number = record.trial.number
        self.state = record.trial.state
        self.params = record.trial.params
        self.values = record.objectives
        self.metrics = record.metrics
        self.test_metrics = record.test_metrics
        self.config: Mapping[str, object] = {} if record.run is None else record.run.config
        self.tags = record.tags

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value:.6g}" for name, value in self.values.items())
        return f"<{self.study}/{self.number} {self.state.lower()}{' ' if values else ''}{values}>"

    def curves(self) -> Mapping[str, Curve]:
        """Every metric over its steps."""
        return {} if self.record.run is None else self._history.curves(self.record.run.run)

    def artifacts(self) -> list[ArtifactRow]:
        """The files that it keeps; `sweeper get` writes them."""
        return [] if self.record.run is None else self._history.artifacts(self.record.run.run)

    def data(self) -> list[DataRow]:
        """The data that it read."""
        return [] if self.record.run is None else self._history.data(self.record.run.run)


class OpenStudy:
    """One study of an open database."""

    def __init__(self, history: History, name: str) -> None:
        self._history = history
        self.name = name
        self.summary: StudyRow = history.study(name)

    def runs(self) -> Runs:
        """Every trial, in order of its number."""
        return Runs(self._history, self._history.records(self.name))

    def __repr__(self) -> str:
        return f"<study {self.name}: {self.summary.total} trials>"


class OpenDatabase:
    """A database, open for reading; see `sweeper.open`."""

    def __init__(self, url: str) -> None:
        self.history = History(url)

    def studies(self) -> list[StudyRow]:
        """All studies by name."""
        return self.history.studies()

    def study(self, name: str) -> OpenStudy:
        """One study. Raises NotFound, naming the nearest ones."""
        return OpenStudy(self.history, name)

    def search(self, query: str, limit: int = 1000) -> list[Hit]:
        """Trials over all studies, as `sweeper search` finds them. Raises QueryError."""
        return self.history.search(query, limit)

    def __repr__(self) -> str:
        return f"<{self.history.where}>"


def open(url: str | None = None) -> OpenDatabase:  # noqa: A001 -- the public name is sweeper.open
    """Open a database for reading: `sqlite:///FILE`, `postgresql://…`, else $SWEEPER_STORAGE, else ./sweeper.db.

    Raises StorageError where it cannot be read.
    """
    return OpenDatabase(url or os.environ.get("SWEEPER_STORAGE") or DEFAULT_STORAGE)
