"""Writers of one SQLite file stand in line for its lock, and nobody who is gone holds the line up."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from sweeper.record.turn import Turn

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["sweeper.record.turn"])


def obey(database: Path, orders: Connection) -> None:
    turn = Turn(database)
    while (order := orders.recv()) != "end":
        if order == "fork":
            child = os.fork()
            if child == 0:
                time.sleep(600)
            orders.send(child)
            continue
        try:
            getattr(turn, order)(*((60.0,) if order == "take" else ()))
            orders.send("done")
        except sqlite3.OperationalError as error:
            orders.send(str(error))


class Writer:
    """A process with a place in the line of one database."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self.orders, theirs = multiprocessing.Pipe()
        self.process: Any = _CONTEXT.Process(target=obey, args=(database, theirs), daemon=True)
        self.process.start()

    def take(self) -> None:
        self.queue()
        assert self.orders.recv() == "done"

    def queue(self) -> None:
        self.orders.send("take")

    def leave(self) -> None:
        self.orders.send("leave")
        assert self.orders.recv() == "done"

    def wait_until_in_line(self) -> None:
        log = Path(f"{self._database}-wal").stat().st_ino
        while not any(
            f" {self.process.pid} " in line and f":{log} " in line and "->" in line
            for line in Path("/proc/locks").read_text().splitlines()
        ):
            assert not self.orders.poll()
            os.sched_yield()


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    tasks = Path(f"/proc/{pid}/task")
    while any(" T " not in (task / "stat").read_text().rpartition(")")[2][:3] for task in tasks.iterdir()):
        os.sched_yield()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    (tmp_path / "sweeper.db-wal").touch()
    return tmp_path / "sweeper.db"


@pytest.fixture
def new_writer(database: Path) -> Iterator[Callable[[], Writer]]:
    writers = []

    def new() -> Writer:
        writers.append(Writer(database))
        return writers[-1]

    yield new
    for writer in writers:
        writer.process.kill()
        writer.process.join()


def test_who_came_first_is_served_first(new_writer: Callable[[], Writer]) -> None:
    first, *others = (new_writer() for _ in range(4))
    first.take()
    for writer in others:
        writer.queue()
        writer.wait_until_in_line()
    first.leave()
    for place, writer in enumerate(others):
        assert writer.orders.recv() == "done"
        assert not any(later.orders.poll() for later in others[place + 1 :])
        writer.leave()


def test_a_killed_process_gives_its_turn_away_though_its_child_lives(new_writer: Callable[[], Writer]) -> None:
    first, second = new_writer(), new_writer()
    first.take()
    first.orders.send("fork")
    child = first.orders.recv()
    second.queue()
    second.wait_until_in_line()
    first.process.kill()
    assert second.orders.recv() == "done"
    os.kill(child, signal.SIGKILL)


def test_a_stopped_process_in_line_holds_nobody_up(new_writer: Callable[[], Writer]) -> None:
    first, second, third = (new_writer() for _ in range(3))
    first.take()
    for writer in (second, third):
        writer.queue()
        writer.wait_until_in_line()
    stop(second.process.pid)
    first.leave()
    assert third.orders.recv() == "done"
    third.leave()
    os.kill(second.process.pid, signal.SIGCONT)
    assert second.orders.recv() == "done"


def test_who_loses_patience_says_that_the_database_is_locked(database: Path, new_writer: Callable[[], Writer]) -> None:
    first = new_writer()
    first.take()
    turn = Turn(database)
    for _ in range(2):
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            turn.take(0.05)
    first.leave()
    first.take()  # whoever has given up takes no turn
    first.leave()
    turn.take(60.0)
    turn.close()
    first.take()


def test_without_a_log_there_is_nobody_to_wait_for(tmp_path: Path) -> None:
    turn = Turn(tmp_path / "sweeper.db")
    turn.take(0.0)
    turn.leave()
    turn.close()


def test_a_new_log_is_a_new_line(database: Path, new_writer: Callable[[], Writer]) -> None:
    turn = Turn(database)
    turn.take(60.0)
    turn.leave()
    log = Path(f"{database}-wal")
    log.unlink()
    log.touch()
    first = new_writer()
    first.take()
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        turn.take(0.05)
    first.leave()
    turn.take(60.0)
    turn.close()
