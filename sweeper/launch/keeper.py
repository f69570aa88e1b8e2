"""The driver of a detached sweep: a process on a node of the cluster, kept by an actor that outlives whoever sent it.

Ray starts the actor again on another node when its own is gone, and the actor starts the driver again when that is
killed. A driver that ends by itself, whatever its exit status, has ended for good.
"""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweeper.errors import LaunchError
from sweeper.heir import HEIR
from sweeper.launch.landmark import Landmark
from sweeper.launch.slot import NAMESPACE

LOG = "driver.log"  # in the sweep's folder
_MOST_DEATHS = 5  # of a driver, on one node
_LINGER_S = 60.0  # for whoever wants to hear how it ended
_PIECE_BYTES = 1 << 20  # of the log, in one answer
_OF_RAY = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")  # what Ray sets for an actor that holds nothing


@dataclass(frozen=True, slots=True)
class Order:
    """How the driver is started."""

    words: Sequence[str]  # its command line, without the interpreter
    variables: Mapping[str, str] = field(repr=False)  # of its environment, over the node's own; they may be secret
    cwd: str
    folder: Landmark  # of the sweep
    database: Landmark | None = None  # the folder of an SQLite file; None: a server

    def obstacle(self) -> str | None:
        """Why the driver cannot run on this node, and what to do; None where it can."""
        here = socket.gethostname()
        if not self.folder.is_seen:
            return (
                f"the driver cannot run on {here}, which does not see the sweep's folder {self.folder.folder}: give "
                "hydra.sweep.dir=… on a file system that all nodes share"
            )
        if not Path(self.cwd).is_dir():
            return (
                f"the driver cannot run on {here}, which does not see {self.cwd}: launch in a folder that nodes share"
            )
        if self.database is not None and not self.database.is_seen:
            return (
                f"the driver cannot run on {here}, which does not see the database's folder {self.database.folder}: "
                "give a PostgreSQL server instead, SWEEPER_STORAGE=postgresql://…"
            )
        return None


@dataclass(frozen=True, slots=True)
class Report:
    """How the driver is."""

    host: str
    pid: int | None
    status: int | None = None  # its exit status, once it has ended
    problem: str | None = None  # why it was not started


class Keeper:
    """Starts the driver, and starts it again where it dies."""

    def __init__(self, order: Order, name: str, address: str) -> None:
        self._order = order
        self._name = name
        self._address = address
        self._pid: int | None = None
        self._status: int | None = None
        self._problem: str | None = None
        self._is_heir = (Path(order.folder.folder) / LOG).exists()  # there was a driver before, maybe elsewhere
        threading.Thread(target=self._keep, name="driver", daemon=True).start()

    def report(self) -> Report:
        return Report(socket.gethostname(), self._pid, self._status, self._problem)

    def log(self, start: int) -> bytes:
        """What the driver has printed from a byte on; at most 1 MiB. Raises LaunchError where it is not to be seen."""
        if (obstacle := self._order.obstacle()) is not None:
            raise LaunchError(obstacle)
        return piece(self._order.folder.folder, start)

    def _keep(self) -> None:
        # The driver is tied to this thread, which lasts as long as it does.
        self._problem = self._order.obstacle()
        if self._problem is None:
            self._drive()
        time.sleep(_LINGER_S)
        self._leave()

    def _drive(self) -> None:
        status = -1
        for _ in range(_MOST_DEATHS):
            with (Path(self._order.folder.folder) / LOG).open("ab") as log:
                driver = subprocess.Popen(
                    [
                        sys.executable,
                        "-m",
                        "sweeper.run.tether",
                        str(os.getpid()),
                        sys.executable,
                        *self._order.words,
                    ],
                    cwd=self._order.cwd,
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            self._pid = driver.pid
            status = driver.wait()
            self._is_heir = True
            if status >= 0:
                break
        self._status = status

    def _environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if name not in _OF_RAY}
        heir = {HEIR: "1"} if self._is_heir else {}
        return own | dict(self._order.variables) | {"RAY_ADDRESS": self._address} | heir

    def _leave(self) -> None:
        """End for good: Ray would start an actor again that ends in any other way."""
        import ray

        ray.kill(ray.get_actor(self._name, NAMESPACE), no_restart=True)


def piece(folder: str, start: int) -> bytes:
    """Some of the log of the driver of the sweep with this folder, from a byte on; at most 1 MiB."""
    with (Path(folder) / LOG).open("rb") as file:
        file.seek(start)
        return file.read(_PIECE_BYTES)


def name_of(folder: str) -> str:
    """The name of the actor that keeps the driver of the sweep with this folder."""
    return f"driver-{hashlib.sha256(folder.encode()).hexdigest()[:16]}"


def sent(order: Order, near: str | None = None) -> Any:
    """Start a driver on the cluster that this process has joined; the actor that keeps it.

    `near` is Ray's id of the node that it is to be on, as long as that lives; None: the one that this process is on.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    context, name = ray.get_runtime_context(), name_of(order.folder.folder)
    _make_way(name)
    made = ray.remote(Keeper).options(
        name=name,
        namespace=NAMESPACE,
        lifetime="detached",
        num_cpus=0,
        max_restarts=-1,
        max_task_retries=0,
        max_concurrency=4,
        enable_task_events=False,
        scheduling_strategy=NodeAffinitySchedulingStrategy(near or context.get_node_id(), soft=True),
    )
    return made.remote(order, name, context.gcs_address)


def _make_way(name: str) -> None:
    """An actor lingers after its driver has ended. Raises LaunchError where one has not."""
    import ray

    try:
        before = ray.get_actor(name, NAMESPACE)
    except ValueError:
        return
    asked: Any = ray.get(before.report.remote())
    report: Report = asked
    if report.status is None and report.problem is None:
        raise LaunchError(f"the sweep of this folder is driven on {report.host} already, by process {report.pid}")
    ray.kill(before, no_restart=True)
    while True:
        try:
            ray.get_actor(name, NAMESPACE)
        except ValueError:
            return
        time.sleep(0.05)


def found(folder: str) -> Any:
    """The actor that keeps the driver of the sweep with this folder. Raises LaunchError where there is none."""
    import ray

    try:
        return ray.get_actor(name_of(folder), NAMESPACE)
    except ValueError as error:
        raise LaunchError(f"the driver of the sweep in {folder} is no longer on the cluster") from error
