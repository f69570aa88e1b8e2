"""What we raise on purpose. Each message is one sentence: what was given, what is allowed, what to type next."""

from __future__ import annotations


class SweeperError(Exception):
    """Any error that a user can act on; the command line prints its text alone and exits with `exit_status`."""

    exit_status = 2


class ConfigError(SweeperError):
    """A setting, an override or a search space that cannot work; found before the first trial starts."""


class StorageError(SweeperError):
    """The database cannot be used: unreachable, unwritable, no database of ours, or of an unknown schema."""

    exit_status = 3


class NoDatabase(StorageError):
    """There is no database at that place yet, or one in which nothing was ever recorded."""


class ArtifactError(SweeperError):
    """The store of artifacts cannot be used, or what was asked of it cannot be meant."""

    exit_status = 3


class NotFound(SweeperError):
    """A study, trial, run, metric or artifact that is not on record."""


class LaunchError(SweeperError):
    """Trials cannot be placed: no cluster, no such script, resources that no node has."""

    exit_status = 4


class Superseded(LaunchError):
    """This driver was thought dead, and another has taken over its sweep or its trial."""


class TrialsFailed(SweeperError):
    """More trials failed than was allowed; everything asked for is on record."""

    exit_status = 5


class QueryError(SweeperError):
    """A search that cannot be understood; the text marks the place and says what could stand there."""


class Interrupted(BaseException):
    """The sweep was ended by a signal or a request; what was done is on record.

    As KeyboardInterrupt it is no Exception: a signal may come while somebody tries what is allowed to fail.
    """

    def __init__(self, signal_number: int, text: str = "interrupted") -> None:
        super().__init__(text)
        self.signal = signal_number
        self.exit_status = 128 + signal_number  # as a shell reports it: 130 for Ctrl-C, 143 for SIGTERM


class ProvenanceError(SweeperError):
    """What a run is made of cannot be captured as required, or cannot be rebuilt."""
