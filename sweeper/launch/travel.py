"""What of the driver's files a node shares, and where on it the rest lies.

Folders that a node sees are used in place. Where it does not see the code, this has come with Ray, which unpacks it
once per node; each sweep has a copy in a folder of its own, so that what trials write spoils nobody else's:

    SCRATCH/<sweep>/code/…        the code as it was launched, and what the driver has below it, such as run folders
    SCRATCH/<sweep>/elsewhere/…   other folders, by their absolute paths on the driver's machine
    SCRATCH/<sweep>/artifacts     a store for files that the driver's slot takes from here to the sweep's own
"""

from __future__ import annotations

import contextlib
import getpass
import io
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from sweeper.errors import ArtifactError, LaunchError
from sweeper.launch.landmark import Landmark
from sweeper.provenance.store import has_scheme, open_store
from sweeper.run.app import App
from sweeper.trial import TrialSpec

PACKED = "sweeper-code"  # the folder in the package: no module can have this name, though Ray puts it on the path


@dataclass(frozen=True, slots=True)
class Ground:
    """The driver's folders as this node has them."""

    code: Landmark
    runs: Landmark
    room: Path  # what this sweep has here
    store: str | None  # the store to write to here, where the sweep's own is out of reach
    sees_code: bool = True
    sees_runs: bool = True

    @property
    def lacks_code(self) -> bool:
        return not self.sees_code and not (self.room / "code").is_dir()

    @property
    def apart(self) -> str | None:
        """Where the folders of runs lie, which nobody else sees; None where the driver does."""
        return None if self.sees_runs else self.here(self.runs.folder)

    def app(self, app: App) -> App:
        """The app, with its code here."""
        return app if self.sees_code else app.moved(self._code_here)

    def spec(self, spec: TrialSpec) -> TrialSpec:
        """The spec, with its folders here."""
        folder, trial_folder = self.here(spec.folder), spec.trial_folder and self.here(spec.trial_folder)
        artifacts = self.store if spec.artifacts and self.store is not None else spec.artifacts
        return replace(spec, folder=folder, trial_folder=trial_folder, artifacts=artifacts)

    def here(self, path: str) -> str:
        """Where the folder of a run, or of runs, lies."""
        return path if self.sees_runs else self._moved(path)

    def _code_here(self, path: str) -> str:
        """Where a path of the app lies: what is installed is in its own place everywhere."""
        return self._moved(path) if Path(path).is_relative_to(self.code.folder) else path

    def _moved(self, path: str) -> str:
        given = Path(path)
        if not self.sees_code and given.is_relative_to(self.code.folder):
            return str(self.room / "code" / given.relative_to(self.code.folder))
        return str(self.room / "elsewhere" / given.relative_to("/"))


@dataclass(frozen=True, slots=True)
class Travel:
    """What a slot is told of the driver's folders; all are absolute."""

    code: Landmark  # of the code's root
    runs: Landmark  # of the sweep's folder
    store: Landmark | None  # of the store, where that is a folder
    artifacts: str  # the store's URL
    sweep: str
    scratch: str | None = None  # on every node; None: below its folder for temporary files

    def arrive(self) -> Ground:
        """Look around on this node, and lay out the code that came with this process where it is needed.

        Raises LaunchError where there is no room for it.
        """
        room = self._room()
        ground = Ground(self.code, self.runs, room, None, self.code.is_seen, self.runs.is_seen)
        reached = self._reaches_store()
        if ground.sees_code and ground.sees_runs and reached:
            return ground
        try:
            _make_private(room)
            if ground.lacks_code and (packed := Path.cwd() / PACKED).is_dir():
                _lay_out(packed, room / "code")
        except OSError as error:
            raise LaunchError(
                f"a node that does not share the driver's folders cannot write to {room} ({error}); name another place "
                "on the nodes with hydra.sweeper.ray.scratch=…"
            ) from error
        return ground if reached else replace(ground, store=str(room / "artifacts"))

    def _room(self) -> Path:
        scratch = self.scratch or f"{tempfile.gettempdir()}/sweeper-{getpass.getuser()}"
        return Path(scratch).expanduser() / self.sweep

    def _reaches_store(self) -> bool:
        if self.store is not None:
            return self.store.is_seen
        if not has_scheme(self.artifacts):
            return True  # there is none
        with contextlib.suppress(ArtifactError):
            open_store(self.artifacts).put(io.BytesIO())
            return True
        return False


def _make_private(room: Path) -> None:
    """Raise OSError where the folder above it is open to others, who could have put something there."""
    room.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if room.parent.is_symlink() or room.parent.stat().st_uid != os.getuid():
        raise PermissionError(f"{room.parent} is another user's")
    room.mkdir(mode=0o700, exist_ok=True)


def _lay_out(packed: Path, place: Path) -> None:
    """Copy the code; slots of one node do so at the same time, and the first one is through."""
    beside = place.with_name(f"code-{secrets.token_hex(4)}")
    shutil.copytree(packed, beside, symlinks=True)
    try:
        beside.rename(place)
    except OSError:
        shutil.rmtree(beside)
        if not place.is_dir():
            raise
