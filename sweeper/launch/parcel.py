"""The code of a sweep on its way to nodes that do not see it: a package that Ray unpacks on each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from sweeper.errors import LaunchError, SweeperError


@dataclass
class Parcel:
    """`pack` makes the zip; it is called when a first node turns out to need it."""

    name: str  # of the content: the same code is sent once, whoever launches it
    pack: Callable[[], bytes]
    _is_wanted: bool = False
    _hosts: set[str] = field(default_factory=set)
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def send(self) -> None:
        """From now on actors come with the code. Raises LaunchError where it is more than Ray takes."""
        with self._one_at_a_time:
            self._upload()
            self._is_wanted = True

    def is_new_to(self, host: str) -> bool:
        """Whether this is the first time that anybody asks about that host."""
        is_new = host not in self._hosts
        self._hosts.add(host)
        return is_new

    def environment(self) -> dict[str, object]:
        """Ray's `runtime_env` of an actor; empty as long as every node has seen the code."""
        if not self._is_wanted:
            return {}
        with self._one_at_a_time:
            self._upload()  # Ray forgets what nobody has used for a while
        return {"working_dir": self._uri}

    @property
    def _uri(self) -> str:
        return f"gcs://_ray_pkg_{self.name[:32]}.zip"

    def _upload(self) -> None:
        # Ray has no public call for a package that one has made oneself: its own way in would pack a folder again,
        # and leave out files that git tracks though .gitignore names them.
        from ray._private.runtime_env import packaging

        packaging.pin_runtime_env_uri(self._uri)
        if packaging.package_exists(self._uri):
            return
        try:
            content = self.pack()
        except SweeperError as error:
            raise LaunchError(str(error)) from error
        if len(content) >= packaging.GCS_STORAGE_MAX_SIZE:
            limit = packaging.GCS_STORAGE_MAX_SIZE >> 20
            raise LaunchError(
                f"a node does not see the code, and packed it has {len(content) >> 20} MiB, more than the {limit} MiB "
                "that Ray sends: put it where every node sees it, or let git ignore what is data"
            )
        packaging.upload_package_to_gcs(self._uri, content)
