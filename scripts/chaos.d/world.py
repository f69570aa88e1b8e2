"""What chaos has its hands on: a cluster of two nodes, a database, a driver; and the faults that befall them."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import tasks
from sqlalchemy import make_url

from sweeper.run.process import MARKER
from tests.record.conftest import PostgresServer, new_server

_LONGEST_END_S = 60.0  # on a machine that has more to do; 5 s are meant, and what it took is printed
_LONG_END_S = 9.0  # who takes longer shows what its tasks wait for
_SHOWN = 12_000  # characters of what a driver said that did not end, where its threads were included
APP = Path(__file__).with_name("app.py")


@dataclass
class World:
    """Everything that can be broken."""

    folder: Path
    cluster: Any
    storage: str
    server: PostgresServer | None  # that can be stopped and started, where it is a server of our own
    disk: Path | None  # a small one that can be filled: the sweep's folder lies on it, and a SQLite file of our own
    n_trials: int
    study: str = field(default_factory=lambda: f"chaos-{time.time_ns():x}")
    driver: subprocess.Popen[bytes] | None = None
    nodes: list[Any] = field(default_factory=list)
    launches: int = 0
    unended: int = 0  # drivers that were told to end and did not

    @property
    def acknowledged(self) -> Path:
        """Where trials note the points that they were told are kept; never on the disk that is filled."""
        return self.folder / "acknowledged"

    @property
    def log(self) -> Path:
        """What the drivers have said."""
        return self.folder / "driver.log"

    @property
    def said_storage(self) -> str:
        """The storage without a password."""
        return make_url(self.storage).render_as_string()

    def launch(self) -> None:
        """The same launch, for the first time or again."""
        self.launches += 1
        command = [
            *(sys.executable, str(APP), "-m", "hydra/sweeper=sweeper", "hydra/sweeper/sampler=random"),
            *(
                "+x=interval(0, 1)",
                f"+acknowledged={self.acknowledged}",
                f"hydra.sweep.dir={self.disk or self.folder}/sweep",
            ),
            *(f"hydra.sweeper.n_trials={self.n_trials}", f"hydra.sweeper.study_name={self.study}"),
            *("hydra.sweeper.trial.retries=1000", "hydra.sweeper.trial.retry_on=[crashed,lost,error]"),
            f"hydra.sweeper.ray.address={self.cluster.address}",
        ]
        environment = os.environ | {
            "SWEEPER_STORAGE": self.storage,
            "SWEEPER_ARTIFACTS": str((self.disk or self.folder) / "artifacts"),
            "PYTHONFAULTHANDLER": "1",  # SIGABRT says where its threads are
        }
        with self.log.open("ab") as log:
            self.driver = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)

    def wait_for_a_point(self) -> None:
        """Until then there is little to break: a sweep begins with imports, Ray and its slots."""
        while not self.acknowledged.exists() and self.driver is not None and self.driver.poll() is None:
            time.sleep(0.1)

    def processes(self) -> dict[str, list[psutil.Process]]:
        """The slots' processes by what they are."""
        found: dict[str, list[psutil.Process]] = {"slot": [], "supervisor": [], "zygote": [], "trial": []}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if not _is_below_a_slot(process) or str(self.folder) not in process.environ().get("RAY_TMPDIR", ""):
                    continue
                kinds = ("supervisor", "zygote", "trial")
                above = list(filter(_is_below_a_slot, process.parents()))
                found[kinds[min(len(above), 2)]].append(process)
                if not above and (slot := process.parent()) is not None:
                    found["slot"].append(slot)
        return found


def _is_below_a_slot(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):  # the environment of some processes of the system cannot be read
        return MARKER in process.environ()
    return False


Fault = Callable[[World, random.Random], str]


def _kill(kind: str) -> Fault:
    def fault(world: World, chance: random.Random) -> str:
        victims = world.processes()[kind]
        if not victims:
            return f"no {kind} to kill"
        victim = chance.choice(victims)
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
        return f"killed the {kind} {victim.pid}"

    return fault


@contextlib.contextmanager
def _paused(world: World) -> Iterator[int]:
    """Stop the processes of all slots meanwhile; how many these are."""
    found = world.processes()
    victims = [process for kind in found for process in found[kind]]
    _send(victims, signal.SIGSTOP)
    yield len(victims)
    _send(victims, signal.SIGCONT)


def _send(processes: list[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _pause_the_slots(world: World, chance: random.Random) -> str:
    with _paused(world) as count:
        time.sleep(10)
    return f"stopped {count} processes of slots for 10 s"


def _end_the_driver_while_slots_are_paused(world: World, chance: random.Random) -> str:
    with _paused(world) as count:
        return f"{_terminate(world)}, while {count} processes of slots were stopped"


def _kill_a_node(world: World, chance: random.Random) -> str:
    node = world.nodes.pop(chance.randrange(len(world.nodes)))
    world.cluster.remove_node(node, allow_graceful=False)
    time.sleep(chance.uniform(0, 3))
    world.nodes.append(world.cluster.add_node(num_cpus=1))
    return "killed a raylet; another node joined"


def _kill_the_driver(world: World, chance: random.Random) -> str:
    assert world.driver is not None
    world.driver.kill()
    world.driver.wait()
    time.sleep(chance.uniform(0, 2))
    return "killed the driver"


def _end_the_driver(world: World, chance: random.Random) -> str:
    began = time.monotonic()
    said = _terminate(world)
    if time.monotonic() > began + _LONG_END_S:
        print(world.log.read_text()[-_SHOWN:], flush=True)
    return said


def _terminate(world: World) -> str:
    assert world.driver is not None
    world.driver.terminate()
    began = time.monotonic()
    status: object = None
    with contextlib.suppress(subprocess.TimeoutExpired):
        status = world.driver.wait(timeout=_LONG_END_S)
    if status is None:
        world.driver.send_signal(tasks.SIGNAL)
        status = _late_status(world, world.driver)
    return f"SIGTERM to the driver: status {status} after {time.monotonic() - began:.1f} s"


def _late_status(world: World, driver: subprocess.Popen[bytes]) -> object:
    try:
        return driver.wait(timeout=_LONGEST_END_S - _LONG_END_S)
    except subprocess.TimeoutExpired:
        world.unended += 1
        driver.send_signal(signal.SIGABRT)
        return f"none, and aborted, it was {driver.wait()}"


@contextlib.contextmanager
def _locked(world: World) -> Iterator[None]:
    connection = sqlite3.connect(world.storage.removeprefix("sqlite:///"), isolation_level=None, timeout=60)
    connection.execute("BEGIN EXCLUSIVE")
    yield
    connection.rollback()
    connection.close()


@contextlib.contextmanager
def _gone(world: World) -> Iterator[None]:
    assert world.server is not None
    world.server.crash()
    yield
    world.server.start()


def _end_the_driver_in_an_outage(world: World, chance: random.Random) -> str:
    with _locked(world) if world.server is None else _gone(world):
        time.sleep(chance.uniform(0, 5))
        return f"{_end_the_driver(world, chance)}, without a database"


def _lock_sqlite(world: World, chance: random.Random) -> str:
    with _locked(world):
        time.sleep(30)
    return "locked the SQLite file for 30 s"


def _restart_postgresql(world: World, chance: random.Random) -> str:
    with _gone(world):
        pass
    return "restarted PostgreSQL, immediately"


def _stop_postgresql(world: World, chance: random.Random) -> str:
    with _gone(world):
        time.sleep(20)
    return "stopped PostgreSQL for 20 s"


def _cut_connections(world: World, chance: random.Random) -> str:
    cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'sweeper'"
    with psycopg.connect(world.storage, autocommit=True) as connection:
        row = connection.execute(cut + " AND datname = current_database()").fetchone()
    return f"cut {row and row[0]} connections to PostgreSQL"


def _fill_the_disk(world: World, chance: random.Random) -> str:
    assert world.disk is not None
    ballast, for_s = world.disk / "ballast", chance.uniform(3, 12)
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    time.sleep(for_s)
    ballast.unlink()
    return f"filled the disk for {for_s:.0f} s"


def faults(world: World) -> list[Fault]:
    """What can befall this world, the likelier the more often it is named."""
    kinds = ("trial", "trial", "zygote", "supervisor", "slot")
    common = [*map(_kill, kinds), _kill_the_driver, _end_the_driver]
    rare = [
        _pause_the_slots,
        _end_the_driver_while_slots_are_paused,
        _kill_a_node,
        *([] if world.disk is None else [_fill_the_disk]),
    ]
    if world.server is not None:
        return [*common, *rare, _restart_postgresql, _stop_postgresql, _cut_connections, _end_the_driver_in_an_outage]
    if world.storage.startswith("sqlite"):
        return [*common, *rare, _lock_sqlite, _end_the_driver_in_an_outage]
    return [*common, *rare, _cut_connections]


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[Path | None]:
    """A tmpfs of 64 MiB; None where none can be mounted."""
    place = folder / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextlib.contextmanager
def made(folder: Path, asked: str, n_trials: int) -> Iterator[World]:
    """A world of its own, gone afterwards; the database at the URL that was asked for, or one of its own too."""
    os.environ |= {"RAY_TMPDIR": str(folder), "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    os.environ |= {"RAY_health_check_period_ms": "500", "RAY_health_check_failure_threshold": "6"}
    os.environ |= {"RAY_agent_register_timeout_ms": "120000", "RAY_raylet_start_wait_time_s": "120"}  # a busy machine
    from ray.cluster_utils import Cluster

    with contextlib.ExitStack() as undo:
        server = new_server() if asked == "postgresql" else None
        if server is not None:
            undo.callback(shutil.rmtree, server.folder)
            undo.callback(server.stop)
            server.start()
        disk = undo.enter_context(_small_disk(folder))
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        undo.callback(cluster.shutdown)
        storage = f"sqlite:///{disk or folder}/chaos.db" if asked == "sqlite" else asked
        if server is not None:
            storage = server.url_of(server.create_database())
        world = World(folder, cluster, storage, server, disk, n_trials)
        world.nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        yield world
