"""Which attempt of a trial may write to what its attempts share.

The highest attempt that has begun is on a file in the trial's folder. An attempt that was paused or cut off, and finds
on coming back that a newer one has begun, ends without another word. Where attempts run on machines that share no
folder, there is nothing that a late one could spoil.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from sweeper.run.outcome import Interruption
from sweeper.trial import Failure

SUPERSEDED = "a newer attempt of this trial has begun; this one, which came back late, was ended"


class Fence:
    """The fence of one trial, as one of its attempts sees it."""

    def __init__(self, trial_folder: str, attempt: int) -> None:
        self._path = Path(trial_folder) / ".sweeper" / "fence"
        self._attempt = attempt

    def take(self) -> bool:
        """Shut out the attempts before this one; False where a newer one has done so to this."""
        if not self.is_open():
            return False
        if self._attempt > 0:  # the first one has nobody before it
            self._path.parent.mkdir(parents=True, exist_ok=True)
            written = self._path.with_suffix(f".{secrets.token_hex(4)}")
            written.write_text(str(self._attempt))
            written.replace(self._path)
        return True

    def is_open(self) -> bool:
        """Whether no newer attempt has begun."""
        try:
            return int(self._path.read_text()) <= self._attempt
        except (OSError, ValueError):
            return True

    def insist(self) -> None:
        """Raise Interruption where a newer attempt has begun."""
        if not self.is_open():
            raise Interruption(Failure.LOST, SUPERSEDED)
