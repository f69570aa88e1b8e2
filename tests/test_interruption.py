"""Ctrl-C and SIGTERM, once and twice, wherever a sweep is; also where it was started with Ctrl-C ignored.

Every case is a sweep in a process of its own. All go on at once, for most of the time is spent in waiting.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import runpy
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT, SIGTERM

import pytest

from sweeper.brake import Brake
from sweeper.cli.order import order
from sweeper.errors import Interrupted
from sweeper.history import History
from sweeper.interruption import Interruption
from tests.record.conftest import PostgresServer, _postgres_template, postgres_server
from tests.record.proxy import Proxy

__all__ = ["_postgres_template", "postgres_server"]  # fixtures

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["sweeper.multirun", "sweeper.launch.inline", "alembic.command", "psycopg"])
_ONE_AT_A_TIME = threading.Lock()  # to start a process looks after all the others as well

APP = """
import os, pathlib, time, hydra, sweeper

def wait_for(name):
    while not pathlib.Path(name).exists():
        time.sleep(0.01)

@hydra.main(version_base="1.3", config_path=None)
def main(cfg):
    wait_for("log")
    for step in range(5):
        sweeper.log({"loss": step}, step)
    os.write(2, b"has logged\\n")
    wait_for("go")
    return cfg.x

if __name__ == "__main__":
    main()
"""


def run(folder: Path, storage: str, n_trials: int) -> None:
    """Be `python app.py -m …`, its standard error in the pipe `said`."""
    os.chdir(folder)
    os.dup2(os.open("said", os.O_WRONLY), 2)
    words = ["app.py", "-m", "hydra/sweeper=sweeper", "hydra.sweeper.launcher=inline", "hydra.job.chdir=false"]
    sys.argv = [*words, f"hydra.sweeper.n_trials={n_trials}", "+x=interval(0,1)", "hydra.sweep.dir=sweep"]
    sys.orig_argv = ["python", *sys.argv]
    os.environ["SWEEPER_STORAGE"] = storage
    runpy.run_path("app.py", run_name="__main__")


class Sweep:
    """A sweep whose trials log when there is a file `log`, and end when there is a file `go`."""

    def __init__(self, folder: Path, storage: str, ignored: bool = False, n_trials: int = 2) -> None:
        self.folder, self.storage = folder, storage
        (folder / "app.py").write_text(APP)
        (folder / "said").unlink(missing_ok=True)
        os.mkfifo(folder / "said")
        self._process = _CONTEXT.Process(
            target=run_ignoring_sigint if ignored else run, args=(folder, storage, n_trials)
        )
        with _ONE_AT_A_TIME:
            self._process.start()
        self._said = (folder / "said").open()

    def until(self, *said: str) -> None:
        """All of it is said, in any order."""
        awaited = set(said)
        while awaited:
            line = self._said.readline()
            assert line, f"the sweep ended before it said {awaited}"
            awaited = {each for each in awaited if each not in line}

    def let(self, *names: str) -> None:
        for name in names:
            (self.folder / name).touch()

    def send(self, first: signal.Signals, *more: signal.Signals) -> None:
        os.kill(self._process.pid or 0, first)
        if more == (SIGINT,):  # it comes when the first was heard: two that come at once are one
            self.until("no new trials; 1 running still (Ctrl-C again stops them)")
        for number in more:
            os.kill(self._process.pid or 0, number)

    def end(self) -> tuple[int | None, str]:
        """How it ended, and what it said last."""
        rest = self._said.read()
        with _ONE_AT_A_TIME:
            self._process.join()
        self._said.close()
        return self._process.exitcode, rest

    def facts(self) -> tuple[list[str], str | None, bool]:
        """On record: the states of the trials, the sweep's outcome, whether its driver lives."""
        history = History(self.storage)
        sweep = history.sweeps("app")[0]
        return [trial.state for trial in history.trials("app")], sweep.outcome, sweep.is_alive


def run_ignoring_sigint(folder: Path, storage: str, n_trials: int) -> None:
    """As `nohup`, and `&` in a script, start a program."""
    signal.signal(SIGINT, signal.SIG_IGN)
    run(folder, storage, n_trials)


@dataclass(frozen=True)
class Case:
    name: str
    signals: tuple[signal.Signals, ...]
    state: str = "WAITING"  # of the one trial there is
    ignored: bool = False

    @property
    def status(self) -> int:
        return 128 + self.signals[-1]


def in_its_trial(case: Case, folder: Path) -> None:
    sweep = Sweep(folder, f"sqlite:///{folder}/sweeper.db", case.ignored)
    sweep.until("app/0 started")
    sweep.send(*case.signals)
    if case.state == "COMPLETE":
        sweep.let("log", "go")
    status, rest = sweep.end()
    assert status == case.status, rest
    assert sweep.facts() == ([case.state], "stopped", False)


def idle(case: Case, folder: Path) -> None:
    sweep = Sweep(folder, f"sqlite:///{folder}/sweeper.db", case.ignored)
    sweep.until("app/0 started")
    order(sweep.storage, "app", "pause", {}, json=False)
    sweep.let("log", "go")
    sweep.until("app/0 complete")
    sweep.send(*case.signals)
    status, rest = sweep.end()
    assert status == case.status, rest
    assert sweep.facts() == ([case.state], "stopped", False)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.rollback()
    connection.close()


def while_sqlite_is_locked(case: Case, folder: Path) -> None:
    sweep = Sweep(folder, f"sqlite:///{folder}/sweeper.db", case.ignored, n_trials=1)
    sweep.until("app/0 started")
    with locked(folder / "sweeper.db"):
        sweep.let("log")
        sweep.until("has logged", "the database cannot be written")
        sweep.send(*case.signals)
        status, rest = sweep.end()
    assert status == case.status, rest
    assert "what was not written waits in" in rest
    assert_all_is_taken_in(sweep)


def assert_all_is_taken_in(sweep: Sweep) -> None:
    """By the next launch: what waited in the spool, and then the rest of the trials."""
    assert sweep.facts()[0] == ["RUNNING"]
    (spool,) = sweep.folder.glob("sweep/.sweeper/spool-*")
    sweep.let("go")
    status, rest = Sweep(sweep.folder, sweep.storage, n_trials=1).end()
    assert status == 0, rest
    assert sweep.facts() == (["COMPLETE"], "stopped", False)
    assert not spool.exists()
    history = History(sweep.storage)
    first, second = history.runs("app", 0)
    assert (first.failure, second.state) == ("stopped", "COMPLETE")
    assert [list(history.curves(run.run)["loss"].values) for run in (first, second)] == [[0.0, 1.0, 2.0, 3.0, 4.0]] * 2


def in_a_commit(case: Case, folder: Path, proxy: Proxy, storage: str, is_answered: bool) -> None:
    sweep = Sweep(folder, storage, case.ignored, n_trials=1)
    sweep.until("app/0 started")
    proxy.hold_at("COMMIT")
    sweep.let("log")
    sweep.until("has logged")
    proxy.held.wait()
    sweep.send(*case.signals)
    if is_answered:
        proxy.release()
    status, rest = sweep.end()
    proxy.release()
    assert status == case.status, rest
    if is_answered:
        assert sweep.facts() == ([case.state], "stopped", False)
    else:
        assert "could not be reached (it gives no answer)" in rest
        assert_all_is_taken_in(sweep)


def while_the_server_is_gone(case: Case, folder: Path, proxy: Proxy, storage: str) -> None:
    sweep = Sweep(folder, storage, case.ignored, n_trials=1)
    sweep.until("app/0 started")
    proxy.go_down()
    sweep.let("log")
    sweep.until("has logged", "the database cannot be written")
    sweep.send(*case.signals)
    status, rest = sweep.end()
    proxy.come_up()
    assert status == case.status, rest
    assert_all_is_taken_in(sweep)


@pytest.mark.slow
def test_a_stop_ends_a_sweep_wherever_it_is(
    tmp_path: Path, postgres_server: PostgresServer, _postgres_template: str
) -> None:
    def with_server(scene: Callable[..., None], *rest: object) -> Callable[[Case, Path], None]:
        def play(case: Case, folder: Path) -> None:
            with Proxy(Path(postgres_server.folder, ".s.PGSQL.5432")) as proxy:
                name = postgres_server.create_database(_postgres_template)
                storage = f"postgresql://sweeper@127.0.0.1:{proxy.port}/{name}?sslmode=disable"
                scene(case, folder, proxy, storage, *rest)

        return play

    answered, unanswered = with_server(in_a_commit, True), with_server(in_a_commit, False)
    gone = with_server(while_the_server_is_gone)
    scenes = [
        (in_its_trial, Case("running, Ctrl-C", (SIGINT,), "COMPLETE")),
        (in_its_trial, Case("running, Ctrl-C twice", (SIGINT, SIGINT))),
        (in_its_trial, Case("running, Ctrl-C twice, started with SIGINT ignored", (SIGINT, SIGINT), ignored=True)),
        (in_its_trial, Case("running, SIGTERM", (SIGTERM,))),
        (in_its_trial, Case("running, SIGTERM twice", (SIGTERM, SIGTERM))),
        (idle, Case("idle, Ctrl-C", (SIGINT,), "COMPLETE", ignored=True)),
        (idle, Case("idle, SIGTERM", (SIGTERM,), "COMPLETE")),
        (idle, Case("idle, SIGTERM twice", (SIGTERM, SIGTERM), "COMPLETE")),
        (while_sqlite_is_locked, Case("locked, Ctrl-C twice", (SIGINT, SIGINT), ignored=True)),
        (while_sqlite_is_locked, Case("locked, SIGTERM twice", (SIGTERM, SIGTERM))),
        (answered, Case("inside a commit, SIGTERM", (SIGTERM,))),
        (answered, Case("inside a commit, Ctrl-C twice", (SIGINT, SIGINT))),
        (unanswered, Case("inside a commit that is never answered, SIGTERM", (SIGTERM,))),
        (gone, Case("no server, SIGTERM", (SIGTERM,))),
        (gone, Case("no server, Ctrl-C twice", (SIGINT, SIGINT))),
    ]

    def play(index: int) -> str | None:
        scene, case = scenes[index]
        folder = tmp_path / str(index)
        folder.mkdir()
        try:
            scene(case, folder)
        except AssertionError as error:
            return f"{case.name}: {error}"
        return None

    with ThreadPoolExecutor(len(scenes)) as pool:
        wrong = [problem for problem in pool.map(play, range(len(scenes))) if problem is not None]
    assert wrong == []


@pytest.mark.parametrize("number", [SIGINT, SIGTERM])
def test_a_signal_ends_also_what_tries_something_that_may_fail(number: signal.Signals) -> None:
    with pytest.raises(Interrupted) as caught, Interruption().heeded(), contextlib.suppress(Exception):
        signal.raise_signal(number)

    assert caught.value.exit_status == 128 + number


def test_a_signal_of_which_nobody_made_anything_stops_the_loop_when_it_begins() -> None:
    interruption, brake = Interruption(), Brake()
    with interruption.heeded():
        with contextlib.suppress(BaseException):  # as where an object is destroyed: there it is printed, and no more
            signal.raise_signal(SIGTERM)

        with interruption.pulling(brake):
            assert (brake.is_stopping, brake.signal) == (True, SIGTERM)
