"""Looks at a cluster for a process that must not join it itself: what has joined Ray ends when the cluster does.

A child joins, `python -m sweeper.launch.lookout ADDRESS`; it answers each line with one line of JSON, and leaves when
nobody asks any more.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
from typing import Any, TextIO

from sweeper.errors import SweeperError
from sweeper.launch import inventory
from sweeper.launch.cluster import knock, running_cluster
from sweeper.launch.queue import standings
from sweeper.machine import record
from sweeper.sight import Sight

_PATIENCE_S = 90.0  # with a cluster that is asked: to join a busy one takes its time, and so do its nodes


def here() -> Sight:
    """This machine's cards."""
    looks = [inventory.here()]
    return Sight("this machine", list(inventory.records(looks, {})), remarks=list(inventory.remarks(looks)))


class Lookout:
    """Looks at one cluster; one look at a time, each by the same child as long as it answers."""

    def __init__(self, address: str) -> None:
        self._where = f"the Ray cluster at {address}"
        self._address = address
        self._turn = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def look(self) -> Sight:
        """What there is now; where nothing answers, that is what is seen."""
        with self._turn:
            try:
                knock(self._address)
            except OSError:
                self._end()  # it would wait a minute for the cluster to come back; a new one says at once what to do
            if self._child is None:
                self._child = self._joined()
            line = _asked(self._child)
            if line is None:
                self._end()
                return Sight(self._where, remarks=[f"{self._where} does not answer"])
            found: dict[str, Any] = json.loads(line)
            if "error" in found:
                self._end()
                return Sight(self._where, remarks=[found["error"]])
            return Sight(self._where, **found)

    def close(self) -> None:
        """Send the child away."""
        with self._turn:
            self._end()

    def _joined(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "sweeper.launch.lookout", self._address]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def _end(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None


def _asked(child: subprocess.Popen[bytes]) -> bytes | None:
    """Its answer; None where there is none, or none in time."""
    assert child.stdin is not None and child.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(b"\n")
        child.stdin.flush()
        if select.select([child.stdout], [], [], _PATIENCE_S)[0]:
            return child.stdout.readline() or None
    return None


def main(address: str) -> None:
    """Be the child."""
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)  # what Ray prints is no answer
        try:
            with running_cluster(address):
                for _ in sys.stdin:
                    _answer(answers, _found())
        except SweeperError as error:
            _answer(answers, {"error": str(error)})


def _found() -> dict[str, object]:
    looks = list(inventory.of_cluster().values())
    return {
        "gpus": list(inventory.records(looks, {})),
        "queue": [record(row) for row in standings()],
        "remarks": list(inventory.remarks(looks)),
    }


def _answer(answers: TextIO, found: dict[str, object]) -> None:
    print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
