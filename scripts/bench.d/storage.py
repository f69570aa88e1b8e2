"""The storage against its targets, beside Optuna's own storages in the same run.

    scripts/bench storage [rate] [writers] [growth] [opening] [points] [journey] [--postgresql URL] [--rounds N]

Without a section, all of them. With --postgresql every section but growth and opening is also run on that server, in
the database the URL names, which should be an empty one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution, distribution_to_json
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy import insert

from sweeper.history import History
from sweeper.record import Record, Storage, open_database
from sweeper.record import optuna_rows as rows
from sweeper.trial import Event, Measured, TrialSpec

SPACE = {
    "lr": FloatDistribution(1e-5, 1e-1, log=True),
    "momentum": FloatDistribution(0.0, 1.0),
    "depth": IntDistribution(1, 8),
    "act": CategoricalDistribution(("relu", "tanh", "gelu")),
}


def one_trial(study: optuna.Study) -> None:
    """Ask, four suggestions, tell."""
    trial = study.ask()
    for name, distribution in SPACE.items():
        trial._suggest(name, distribution)
    study.tell(trial, float(trial.number))


def seconds(study: optuna.Study, count: int) -> float:
    """How long so many trials take."""
    began = time.perf_counter()
    for _ in range(count):
        one_trial(study)
    return time.perf_counter() - began


def rates(storages: dict[str, BaseStorage]) -> dict[str, float]:
    """Trials per second with the random sampler in new studies, by turns of a tenth of a second each."""
    turns = {"ours": 60, "RDB": 4, "journal": 30}
    studies = {
        name: optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=1))
        for name, storage in storages.items()
    }
    for study in studies.values():
        seconds(study, 8)  # what is done once is not what a trial costs
    took = dict.fromkeys(studies, 0.0)
    for _ in range(8):
        for name, study in studies.items():
            took[name] += seconds(study, turns[name])
    return {name: 8 * turns[name] / took[name] for name in studies}


def measure_rate(folder: Path, postgresql: str | None, rounds: int) -> None:
    engines = {"SQLite": (f"sqlite:///{folder}/ours.db", f"sqlite:///{folder}/theirs.db", 15.0)}
    if postgresql is not None:
        engines["PostgreSQL"] = (postgresql, for_optuna(postgresql), 10.0)
    for engine, (ours_url, theirs_url, target) in engines.items():
        ours = Storage(ours_url)
        journal = JournalStorage(JournalFileBackend(str(folder / f"{engine}.log")))
        found = []
        for _ in range(rounds):
            found.append(one := rates({"ours": ours, "RDB": RDBStorage(theirs_url), "journal": journal}))
            print(f"  {engine}: ours {one['ours']:.0f}/s, RDB {one['RDB']:.1f}/s, journal {one['journal']:.0f}/s")
        for other, aim in (("RDB", target), ("journal", 1.0)):
            report(
                f"{engine}: ours / Optuna's {other}", statistics.median(one["ours"] / one[other] for one in found), aim
            )
        ours.close()


def write_for(seconds: float, url: str, kind: str, barrier: Any, answers: Any) -> None:
    """One of many processes: trials until the time is over; gives the seconds each took."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage: BaseStorage
    if kind == "ours":
        storage = Storage(url)
    else:
        connect = {"timeout": 60} if url.startswith("sqlite") else {}
        storage = RDBStorage(url, engine_kwargs={"connect_args": connect})
    study = optuna.load_study(study_name="shared", storage=storage, sampler=optuna.samplers.RandomSampler())
    for _ in range(3):
        one_trial(study)  # what a process does once is not what a trial costs
    barrier.wait()
    until, took = time.perf_counter() + seconds, []
    while (began := time.perf_counter()) < until:
        one_trial(study)
        took.append(time.perf_counter() - began)
    answers.put(took)


def measure_writers(folder: Path, postgresql: str | None, rounds: int) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sweeper.record.storage", "optuna", "psycopg"])
    engines = {"SQLite": (f"sqlite:///{folder}/many.db", f"sqlite:///{folder}/many-theirs.db")}
    if postgresql is not None:
        engines["PostgreSQL"] = (postgresql, for_optuna(postgresql))
    for engine, (ours, theirs) in engines.items():
        for kind, url in (("ours", ours), ("optuna", theirs)):
            storage = Storage(ours) if kind == "ours" else RDBStorage(theirs)
            if "shared" in optuna.get_all_study_names(storage):
                optuna.delete_study(study_name="shared", storage=storage)
            optuna.create_study(storage=storage, study_name="shared")
            barrier, answers = context.Barrier(16), context.Queue()
            seconds = 2.0 * rounds
            processes = [
                context.Process(target=write_for, args=(seconds, url, kind, barrier, answers)) for _ in range(16)
            ]
            for process in processes:
                process.start()
            took = sorted(one for _ in processes for one in answers.get())
            for process in processes:
                process.join()
            per_second, p99 = len(took) / seconds, took[int(len(took) * 0.99)]
            print(f"  {engine}, 16 writers, {kind}: {per_second:.0f} trials/s, p99 {p99 * 1e3:.0f} ms")
            if kind == "ours":
                report(f"{engine}: 16 writers, trials/s", per_second, 150.0)
                report(f"{engine}: 16 writers, p99 in ms", p99 * 1e3, 200.0, at_most=True)


def fill(url: str, count: int) -> None:
    """A study `big` of that many finished trials, by plain inserts."""
    database = open_database(url)
    start = rows.utc_now()
    with database.engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        connection.execute(insert(rows.studies), {"study_id": 1, "study_name": "big"})
        connection.execute(insert(rows.study_directions), {"study_id": 1, "direction": "MINIMIZE", "objective": 0})
        state = {"study_id": 1, "state": "COMPLETE", "datetime_start": start, "datetime_complete": start}
        connection.execute(
            insert(rows.trials), [{"trial_id": number + 1, "number": number, **state} for number in range(count)]
        )
        texts = {name: distribution_to_json(distribution) for name, distribution in SPACE.items()}
        connection.execute(
            insert(rows.trial_params),
            [
                {"trial_id": number + 1, "param_name": name, "param_value": 1.0, "distribution_json": text}
                for number in range(count)
                for name, text in texts.items()
            ],
        )
        connection.execute(
            insert(rows.trial_values),
            [
                {"trial_id": number + 1, "objective": 0, "value": number * 0.37 % 1, "value_type": "FINITE"}
                for number in range(count)
            ],
        )
        connection.exec_driver_sql("COMMIT")
    database.engine.dispose()


def measure_growth(folder: Path, postgresql: str | None, rounds: int) -> None:
    costs: dict[int, list[float]] = {100: [], 10_000: []}
    studies = {}
    for count in costs:
        url = f"sqlite:///{folder}/grown-{count}.db"
        fill(url, count)
        studies[count] = optuna.load_study(
            study_name="big", storage=Storage(url), sampler=optuna.samplers.RandomSampler()
        )
        one_trial(studies[count])
    for _ in range(rounds * 5):
        for count, study in studies.items():
            began = time.perf_counter()
            for _ in range(20):
                one_trial(study)
            costs[count].append((time.perf_counter() - began) / 20)
    few, many = (statistics.median(costs[count]) * 1e3 for count in (100, 10_000))
    print(f"  a trial costs {few:.2f} ms after 100 trials, {many:.2f} ms after 10,000")
    report("cost at 10,000 trials / at 100", many / few, 1.3, at_most=True)


_OPEN = """
import sys, time
from pathlib import Path
import optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
kind, url = sys.argv[1:]
from sweeper.record import Storage
def megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
before = megabytes()
began = time.perf_counter()
storage = Storage(url) if kind == "ours" else optuna.storages._CachedStorage(optuna.storages.RDBStorage(url))
count = len(storage.get_all_trials(1, deepcopy=False))
print(time.perf_counter() - began, megabytes() - before)
"""


def measure_opening(folder: Path, postgresql: str | None, rounds: int) -> None:
    for count, most_s, most_mb in ((10_000, 0.5, 0.0), (50_000, 3.0, 200.0)):
        url = f"sqlite:///{folder}/opened-{count}.db"
        fill(url, count)
        kinds = ("ours", "optuna") if count < 50_000 else ("ours",)
        for kind in kinds:
            found = [
                subprocess.run([sys.executable, "-c", _OPEN, kind, url], capture_output=True, text=True, check=True)
                for _ in range(rounds)
            ]
            seconds, megabytes = (
                statistics.median(float(one.stdout.split()[part]) for one in found) for part in (0, 1)
            )
            print(f"  {count:,} trials, {kind}: {seconds:.2f} s, {megabytes:.0f} MB")
            if kind == "ours":
                report(f"opening {count:,} trials, s", seconds, most_s, at_most=True)
                if most_mb:
                    report(f"opening {count:,} trials, MB", megabytes, most_mb, at_most=True)


def events_of(runs: list[str], count: int, metrics: int) -> Iterator[list[Event]]:
    """Batches of 250 steps of each run in turn."""
    for first in range(0, count // metrics // len(runs), 250):
        for run in runs:
            yield [
                Measured(run, step, 1.0, step, {f"metric/{k}": step * 0.1 + k for k in range(metrics)})
                for step in range(first, first + 250)
            ]


def measure_points(folder: Path, postgresql: str | None, rounds: int) -> None:
    urls = {"SQLite": f"sqlite:///{folder}/points.db"} | ({} if postgresql is None else {"PostgreSQL": postgresql})
    for engine, url in urls.items():
        storage = Storage(url)
        record = Record(storage)
        found = []
        for _ in range(rounds):
            runs = [uuid.uuid4().hex for _ in range(8)]
            for run in runs:
                spec = TrialSpec(run, 0, run, 0, {}, (), {}, b"", b"", "/tmp", seed=0)
                record.run_opened("0" * 32, spec).result()
            batches = list(events_of(runs, 200_000, 4))
            began = time.perf_counter()
            stored: list[Future[None]] = [record.heard(batch) for batch in batches]
            for future in stored:
                future.result()
            found.append(sum(4 * len(batch) for batch in batches) / (time.perf_counter() - began))
        report(f"{engine}: points/s from the driver to the committed row", statistics.median(found), 100_000.0)
        storage.close()


_LOGGING = """
import os, time
from pathlib import Path
import hydra, numpy, sweeper

@hydra.main(version_base=None, config_path=None)
def main(cfg):
    gate = Path(cfg.gate)
    (gate / os.environ["SWEEPER_TRIAL"]).touch()
    while len(list(gate.iterdir())) < cfg.trials:
        time.sleep(0.01)
    values = {f"metric/{k}": 0.1 + k for k in range(cfg.metrics)}
    took, pause_s = [], cfg.pause_s  # to read it of the config at every step costs three times what a log call does
    for step in range(cfg.calls):
        began = time.perf_counter_ns()
        sweeper.log(values, step)
        took.append(time.perf_counter_ns() - began)
        if pause_s:
            time.sleep(pause_s)
    return float(numpy.percentile(took, 99)) / 1e3

if __name__ == "__main__":
    main()
"""


def sweep_that_logs(
    folder: Path, url: str, trials: int, metrics: int, calls: int, pause_s: float
) -> tuple[float, float]:
    """Points per second from when the last of the trials has come (they wait for each other: starting a slot takes
    seconds, and is measured by `scripts/bench throughput`) until the end of each stands in the database, behind all its
    points; and the 99th percentile of one call of `sweeper.log` in microseconds, the worst of all trials.
    """
    (folder / "logging_app.py").write_text(_LOGGING)
    study = uuid.uuid4().hex
    gate = folder / f"gate-{study}"
    gate.mkdir()
    command = [sys.executable, "logging_app.py", "-m", "hydra/sweeper=sweeper", f"hydra.sweeper.storage={url!r}"]
    command += [
        f"hydra.sweeper.study_name={study}",
        f"hydra.sweeper.n_trials={trials}",
        f"hydra.sweeper.n_jobs={trials}",
    ]
    command += ["hydra.sweeper.resources.cpus=0.2", f"hydra.sweep.dir={folder}/{study}", "+unused=interval(0, 1)"]
    command += [f"+metrics={metrics}", f"+calls={calls}", f"+pause_s={pause_s}", f"+gate={gate}", f"+trials={trials}"]
    history = History(url)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder) as process:
        while not has_ended(history, study, trials):
            if process.poll():
                raise SystemExit(f"the sweep ended with status {process.returncode}")
            time.sleep(0.05)
        ended = time.time()
    began = max(mark.stat().st_mtime for mark in gate.iterdir())
    slowest = max(row.values[0] for row in history.trials(study) if row.values)
    return trials * metrics * calls / (ended - began), slowest


def has_ended(history: History, study: str, trials: int) -> bool:
    """Whether the ends of all trials are in the database."""
    return history.has_study(study) and history.study(study).finished == trials


def measure_journey(folder: Path, postgresql: str | None, rounds: int) -> None:
    urls = {"SQLite": f"sqlite:///{folder}/journey.db"} | ({} if postgresql is None else {"PostgreSQL": postgresql})
    for engine, url in urls.items():
        open_database(url).engine.dispose()
        for metrics in (10, 1):
            found = [sweep_that_logs(folder, url, 8, metrics, 200_000 // metrics, 0.0)[0] for _ in range(rounds)]
            what = f"{engine}: points/s from 8 trials' processes to the committed row, {metrics} in a call"
            report(what, statistics.median(found), 100_000.0)
    for trials in (1, 8):
        slowest = [sweep_that_logs(folder, urls["SQLite"], trials, 4, 20_000, 0.0)[1] for _ in range(rounds)]
        what = f"one log call of 4 metrics, {trials} trials that write all the time, p99 in µs"
        report(what, statistics.median(slowest), 50.0, at_most=True)
    rare = sweep_that_logs(folder, urls["SQLite"], 8, 4, 2_000, 0.002)[1]
    print(f"  8 trials that write every 2 ms, with cold caches: p99 {rare:.0f} µs")


def for_optuna(url: str) -> str:
    return url.replace("postgresql:", "postgresql+psycopg:", 1)


def report(what: str, value: float, target: float, *, at_most: bool = False) -> None:
    """A figure and whether it reaches its target."""
    reached = value <= target if at_most else value >= target
    verdict = "reached" if reached else "MISSED"
    print(f"{what}: {value:,.2f} (target {'≤' if at_most else '≥'} {target:,.1f}: {verdict})", flush=True)


SECTIONS: dict[str, Callable[[Path, str | None, int], None]] = {
    "rate": measure_rate,
    "writers": measure_writers,
    "growth": measure_growth,
    "opening": measure_opening,
    "points": measure_points,
    "journey": measure_journey,
}


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []])
    parser.add_argument("--postgresql", metavar="URL")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for name in options.sections or SECTIONS:
        with tempfile.TemporaryDirectory(prefix="sweeper-bench-") as folder:
            print(f"{name}:")
            SECTIONS[name](Path(folder), options.postgresql, options.rounds)


if __name__ == "__main__":
    main()
