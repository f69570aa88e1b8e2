"""What a read gives back of files, data and looks at test data: frozen rows of plain values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ArtifactRow:
    """A file that a run keeps."""

    name: str  # within the run, folders parted by /
    kind: str
    size: int
    sha256: str | None  # None where it could not be kept, and `error` says why
    error: str | None
    saved_at: float
    store: str | None  # URL of the store it was written to


@dataclass(frozen=True, slots=True)
class DataRow:
    """Data that a run read."""

    name: str
    url: str
    files: int
    size: int
    sha256: str | None  # of the file, or of a folder's manifest; None where `error` says why
    manifest: bool  # whether it is a folder, whose manifest is in the store
    error: str | None


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A metric on data that selects nothing."""

    value: float  # the last one
    step: int | None
    looks: int  # how often the run measured it


@dataclass(frozen=True, slots=True)
class Looks:
    """How often a study has looked at test data."""

    looks: int
    trials: int  # that looked


@dataclass(frozen=True, slots=True)
class BlobUse:
    """A file on record, and whose it is."""

    study: str
    number: int
    name: str
    sha256: str
    store: str | None
