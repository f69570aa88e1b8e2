"""What it costs to give each trial a process of its own: CPU of supervisor, zygote and the
process that is forked, for each trial.

The app is studies/digits with a task that returns at once, so that all the time is ours: its imports, its config, its
space and its code snapshot are the real ones. Nothing is counted before the zygote is ready, nor what a slot does
itself.

A trial is to take 15 ms, on a machine where a fresh interpreter that imports nothing took 9.24 (median). Machines
differ by more than two, and one from hour to hour by a third: so such interpreters are started between the rounds, and
what can be compared is how many of them a trial takes. Beside it stands what a fork that does nothing costs of a
process with the same imports, and what as many files cost as a trial makes.

That is the disk's part: on ext4 it is several times as large for five minutes after many files were deleted, as by this
bench itself (one by one the kernel passes over inodes that were in use a moment ago, `recently_deleted`).
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import importlib.util
import inspect
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import optuna
from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.utils import JobRuntime, setup_globals
from hydra.types import HydraContext, RunMode
from optuna.trial import TrialState

from sweeper.preparation import Multirun, Prepared, understand
from sweeper.provenance.code import Wanted, take
from sweeper.run.app import App
from sweeper.run.host import Host
from sweeper.specification import specifying
from sweeper.study import Asked
from sweeper.trial import Ended, TrialSpec

DIGITS = Path(__file__).parents[2] / "studies" / "digits"
TO_REACH_MS, INTERPRETER_MS = 15.0, 9.24  # a trial, and `python -S -c pass` where that was set
INTERPRETER = os.path.realpath(sys.executable)  # none of a virtual environment, which has more to find out
_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """What a slot's processes have used up to now."""

    parents_ms: float  # the supervisor and the zygote
    children_ms: float  # that the zygote has waited for
    pages: int  # of the children: copied, or seen for the first time

    @classmethod
    def of(cls, supervisor: int) -> Cost:
        (zygote,) = map(int, Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()[:1])
        above, own = cls._of_process(supervisor), cls._of_process(zygote)
        return cls(above.parents_ms + own.parents_ms, own.children_ms, own.pages)

    @classmethod
    def _of_process(cls, pid: int) -> Cost:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children_pages, user, system, children_user, children_system = (int(fields[at]) for at in (8, 11, 12, 13, 14))
        return cls((user + system) * _TICK_MS, (children_user + children_system) * _TICK_MS, children_pages)


def at_once(folder: Path) -> ModuleType:
    """The app with a task that returns at once, and nothing else changed."""
    tree = ast.parse((DIGITS / "train.py").read_text(encoding="utf-8"))
    (task,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main")
    task.body = ast.parse("return 0.5").body  # type: ignore[assignment]
    path = folder / "digits_at_once.py"
    path.write_text(ast.unparse(tree), encoding="utf-8")
    sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def prepared(folder: Path, module: ModuleType) -> Prepared:
    """The sweep of studies/digits, as far as it is known before anything is started."""
    setup_globals()
    JobRuntime.instance().set("name", "train")
    loader = ConfigLoaderImpl(create_config_search_path(f"file://{DIGITS / 'conf'}"))
    given = [f"hydra.sweep.dir={folder}/sweep", "hydra.mode=MULTIRUN", f"hydra.sweeper.artifacts={folder}/artifacts"]
    given += [f"hydra.sweeper.storage=sqlite:///{folder}/sweeper.db"]
    master = loader.load_configuration("digits", given, RunMode.MULTIRUN)
    multirun = Multirun(HydraContext(loader, Callbacks(master)), inspect.unwrap(module.main), master, ())
    inputs = understand(multirun, folder / "conf")
    code = take(Wanted(DIGITS / "train.py"), inputs.store)
    return Prepared(**vars(inputs), uuid=uuid.uuid4().hex, code=code)


def specs(sweep: Prepared) -> Iterator[TrialSpec]:
    """Trials drawn at random from the study's own space."""
    spec = specifying(sweep)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    while True:
        trial = study.ask()
        yield spec(Asked(trial, trial.number, attempt=0, params=sweep.space.suggest(trial)))


async def measured(host: Host, trials: Iterator[TrialSpec], rounds: int, size: int) -> None:
    """Print what a trial costs, round by round."""
    await host.ready()
    assert host.unforkable is None, host.unforkable
    assert host._process is not None
    await _run(host, trials, 20)  # bases are made from the second use on
    sums, ratios = list[float](), list[float]()
    for _ in range(rounds):
        fresh = fresh_interpreter()
        began, slot = Cost.of(host._process.pid), time.process_time()
        await _run(host, trials, size)
        ended, slot = Cost.of(host._process.pid), time.process_time() - slot
        parents, child = (ended.parents_ms - began.parents_ms) / size, (ended.children_ms - began.children_ms) / size
        sums.append(parents + child)
        ratios.append(sums[-1] / statistics.mean((fresh, fresh_interpreter())))
        print(
            f"supervisor and zygote {parents:5.2f} ms   child {child:5.2f} ms   sum {sums[-1]:5.2f} ms   "
            f"{(ended.pages - began.pages) / size:5.0f} pages   {ratios[-1]:4.2f} interpreters   "
            f"(driver and slot {slot / size * 1000:5.2f} ms)",
            flush=True,
        )
    print(f"median {statistics.median(sums):5.2f} ms of CPU a trial (to reach: {TO_REACH_MS:.0f})", end="   ")
    print(f"{statistics.median(ratios):4.2f} fresh interpreters", end=" ")
    print(f"(to reach: {TO_REACH_MS / INTERPRETER_MS:4.2f})   Python {platform.python_version()}")


async def _run(host: Host, trials: Iterator[TrialSpec], count: int) -> None:
    for _ in range(count):
        async for events in host.run(next(trials)):
            last = events[-1]
        assert isinstance(last, Ended) and last.state == TrialState.COMPLETE, last


def fresh_interpreter(rounds: int = 20) -> float:
    """Milliseconds of CPU that an interpreter takes which imports nothing that it need not."""
    began = sum(os.times()[2:4])
    for _ in range(rounds):
        subprocess.run([INTERPRETER, "-S", "-c", "pass"], check=True)
    return (sum(os.times()[2:4]) - began) * 1000 / rounds


def bare_fork(rounds: int = 200) -> float:
    """Milliseconds of CPU, in parent and child, of a fork of this process that does nothing."""
    began = sum(os.times()[:4])
    for _ in range(rounds):
        if (pid := os.fork()) == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    return (sum(os.times()[:4]) - began) * 1000 / rounds


def bare_files(folder: Path, rounds: int = 200) -> float:
    """Milliseconds of CPU that files and folders take by themselves, as many as a trial makes and about as large."""
    began = time.process_time()
    for number in range(rounds):
        trial = folder / str(number)
        for made in (trial, trial / "journal", trial / "config"):
            made.mkdir(parents=True)
            for name in "abc":
                (made / name).write_bytes(b"x" * 500)
    return (time.process_time() - began) * 1000 / rounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--trials", type=int, default=100, help="in each round")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        module = at_once(Path(folder))
        sweep = prepared(Path(folder), module)
        host = Host(App.of(inspect.unwrap(module.main), Callbacks(), sweep.code.snapshot), {})
        try:
            asyncio.run(measured(host, specs(sweep), asked.rounds, asked.trials))
        finally:
            host.close()
        print(f"a dozen files by themselves: {bare_files(Path(folder) / 'bare'):5.2f} ms", end="   ")
    print(f"a fork that does nothing, of a process with the same imports: {bare_fork():5.2f} ms")


if __name__ == "__main__":
    main()
