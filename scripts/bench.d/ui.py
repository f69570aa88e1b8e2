"""The site at 10,000 trials × 20 parameters × 100 points on SQLite: times of its pages, memory, readers beside a sweep.

    scripts/bench ui [pages] [memory] [readers] [--trials N]

Without a section, all of them. Times are of the application itself, without a socket; `readers` runs the real server.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution, distribution_to_json
from sqlalchemy import insert
from starlette.testclient import TestClient

from sweeper.history import History
from sweeper.record import open_database, tables
from sweeper.record import optuna_rows as rows
from sweeper.web.site import create_site
from sweeper.web.source import Source

PARAMS, STEPS = 20, 100
TOKEN = "a token for the bench alone"
STARTED = 1_700_000_000.0
SPACE = {
    **{f"optimizer.p{i}": FloatDistribution(1e-5, 1e-1, log=True) for i in range(10)},
    **{f"model.n{i}": IntDistribution(1, 64) for i in range(6)},
    **{f"model.c{i}": CategoricalDistribution(("relu", "tanh", "gelu")) for i in range(4)},
}


def fill(url: str, count: int) -> None:
    """A study `big` as a finished sweep leaves it: trials, params, values, attributes, runs with config, curves."""
    database = open_database(url)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        connection.execute(insert(rows.studies), {"study_id": 1, "study_name": "big"})
        connection.execute(insert(rows.study_directions), {"study_id": 1, "direction": "MAXIMIZE", "objective": 0})
        connection.execute(insert(tables.sweeps), sweep())
        for first in range(0, count, 1000):
            numbers = range(first, min(first + 1000, count))
            for table, found in batches(numbers):
                connection.execute(insert(table), list(found))
        connection.exec_driver_sql("COMMIT")
    database.engine.dispose()


def sweep() -> dict[str, Any]:
    texts = {
        "command": "python train.py -m",
        "settings": "{}",
        "space": "{}",
        "sampler": "TPESampler",
        "pruner": "NopPruner",
    }
    who = {"user": "ada", "host": "node-a", "pid": 1, "folder": "/data", "artifacts": "/data/artifacts"}
    when = {"started_at": STARTED, "ended_at": STARTED + 9e4, "outcome": "finished"}
    return {"sweep": "0" * 32, "study": "big", "defaults": "{}", **texts, **who, **when}


def batches(numbers: range) -> Iterator[tuple[Any, Iterator[dict[str, Any]]]]:
    """Rows of each table for these trials."""
    draw = random.Random(numbers.start)
    values = {number: draw.random() for number in numbers}
    texts = {name: distribution_to_json(distribution) for name, distribution in SPACE.items()}
    yield rows.trials, (trial(number) for number in numbers)
    yield (
        rows.trial_values,
        ({"trial_id": n + 1, "objective": 0, "value": v, "value_type": "FINITE"} for n, v in values.items()),
    )
    yield (
        rows.trial_params,
        (
            {"trial_id": number + 1, "param_name": name, "param_value": drawn(draw, name), "distribution_json": text}
            for number in numbers
            for name, text in texts.items()
        ),
    )
    yield (
        rows.trial_system_attrs,
        (
            {"trial_id": number + 1, "key": key, "value_json": json.dumps("0" * 32)}
            for number in numbers
            for key in ("sweeper:sweep", "sweeper:ask")
        ),
    )
    yield tables.runs, (run(number) for number in numbers)
    yield (
        tables.metrics,
        (
            {"run_id": n + 1, "name": "val/accuracy", "step": step, "value": v * step / STEPS, "time": 1.0, "seq": step}
            for n, v in values.items()
            for step in range(STEPS)
        ),
    )


def drawn(draw: random.Random, name: str) -> float:
    match SPACE[name]:
        case FloatDistribution(low=low, high=high):
            return math.exp(draw.uniform(math.log(low), math.log(high)))
        case IntDistribution(low=low, high=high):
            return float(draw.randint(low, high))
    return float(draw.randrange(3))


def trial(number: int) -> dict[str, Any]:
    moment = rows.utc_now()
    return {
        "trial_id": number + 1,
        "study_id": 1,
        "number": number,
        "state": "COMPLETE",
        "datetime_start": moment,
        "datetime_complete": moment,
    }


def run(number: int) -> dict[str, Any]:
    start = STARTED + 9 * (number // 8)
    config = {"optimizer": {f"p{i}": number * i for i in range(10)}, "model": {f"n{i}": i for i in range(10)}}
    return {
        "id": number + 1,
        "run": f"{number:032x}",
        "sweep": "0" * 32,
        "study": "big",
        "number": number,
        "attempt": 0,
        "state": "COMPLETE",
        "config": json.dumps(config),
        "overrides": "[]",
        "seed": number,
        "folder": f"/data/{number}",
        "node": f"node-{number % 8}",
        "created_at": start,
        "started_at": start,
        "ended_at": start + 8,
        "runtime_s": 8.0,
        "peak_rss_bytes": 2**28,
    }


PAGES = {
    "studies": ("/", 200),
    "study and leaderboard": ("/study?study=big", 200),
    "leaderboard, last page": ("/study?study=big&page=200", 200),
    "leaderboard by a parameter": ("/study?study=big&sort=params.optimizer.p3", 200),
    "leaderboard by a metric": ("/study?study=big&sort=-metrics.val%2Faccuracy", 200),
    "leaderboard, filtered": (
        "/study?study=big&where=" + urllib.parse.quote("params.model.n1 > 32 and value > 0.9"),
        200,
    ),
    "trial": ("/trial?trial=big/17", 200),
    "compare of 10": ("/compare?" + "&".join(f"trial=big/{n * 911}" for n in range(10)), 300),
    "pulse": ("/api/pulse?study=big", 200),
    "figure: progress": ("/api/progress?study=big", 0),
    "figure: curves of 10": ("/api/curves?study=big&metric=val%2Faccuracy", 0),
    "figure: parallel": ("/api/parallel?study=big", 0),
    "figure: slices": ("/api/slices?study=big", 0),
    "figure: timeline": ("/api/timeline?study=big", 0),
}


def client(url: str) -> TestClient:
    site = create_site(Source.of(url), TOKEN, fresh_s=0)
    return TestClient(site, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {TOKEN}"})


def measure_pages(url: str, folder: Path) -> None:
    """Wall time, which other work on the machine makes longer, and CPU time of this process, which it does not."""
    asking = client(url)
    for name, (address, target) in PAGES.items():
        took, worked = [], []
        for _ in range(15):
            began, idle = time.perf_counter(), time.process_time()
            answer = asking.get(address)
            took.append((time.perf_counter() - began) * 1e3)
            worked.append((time.process_time() - idle) * 1e3)
            assert answer.status_code == 200, (address, answer.text[:500])
        median, cpu = statistics.median(took), statistics.median(worked)
        verdict = f" (target ≤ {target} ms: {'reached' if median <= target else 'MISSED'})" if target else ""
        print(
            f"  {name:28} median {median:4.0f} ms, CPU {cpu:4.0f} ms{verdict}, {len(answer.content):,} bytes",
            flush=True,
        )


def measure_memory(url: str, folder: Path) -> None:
    """Resident memory after 200 and after 1,200 requests to every kind of page."""
    with serving(url) as (origin, process):
        addresses = [address for address, _ in PAGES.values()] * 100
        found = []
        for count, address in enumerate(addresses[:1200], start=1):
            ask(origin, address)
            if count in (200, 700, 1200):
                found.append(psutil.Process(process.pid).memory_info().rss / 1e6)
    print(f"  after 200, 700, 1,200 requests: {', '.join(f'{rss:.0f} MB' for rss in found)}")


READERS, SWEEP_TRIALS, ROUNDS = 50, 150, 3
APP = """
import hydra

@hydra.main(version_base=None, config_path=None)
def main(cfg):
    return cfg.x

main()
"""


def measure_readers(url: str, folder: Path) -> None:
    """Trials per second of a sweep alone and with 50 open study pages, in turns; what the readers were answered."""
    (folder / "app.py").write_text(APP)
    swept = f"sqlite:///{folder}/swept.db"
    sweep_once(folder, swept, "first", 3)
    found: list[tuple[float, float]] = []
    took: list[float] = []
    shares = []
    with serving(swept) as (origin, process):
        server = psutil.Process(process.pid)
        for i in range(ROUNDS):
            alone = sweep_once(folder, swept, f"alone-{i}", SWEEP_TRIALS)
            name = f"read-{i}"
            over = threading.Event()
            readers = [threading.Thread(target=read, args=(origin, name, over, took)) for _ in range(READERS)]
            for reader in readers:
                reader.start()
            began, idle = time.perf_counter(), sum(server.cpu_times()[:2])
            beside = sweep_once(folder, swept, name, SWEEP_TRIALS)
            shares.append((sum(server.cpu_times()[:2]) - idle) / (time.perf_counter() - began))
            over.set()
            for reader in readers:
                reader.join()
            found.append((alone, beside))
            print(f"  alone {alone:.1f} trials/s, with {READERS} readers {beside:.1f} trials/s", flush=True)
    ratio = statistics.median(beside / alone for alone, beside in found)
    errors = sum(one < 0 for one in took)
    answers = sorted(one for one in took if one >= 0)
    print(f"  {len(answers):,} answers, median {statistics.median(answers) * 1e3:.0f} ms, {errors} errors")
    print(f"  the server took {statistics.median(shares):.1%} of a core while they read")
    print(f"  trials/s with readers / alone: {ratio:.3f} (target ≥ 0.95: {'reached' if ratio >= 0.95 else 'MISSED'})")


def sweep_once(folder: Path, url: str, study: str, trials: int) -> float:
    """Trials per second of one sweep, from its first trial's start to its last one's end."""
    command = [sys.executable, "app.py", "-m", "hydra/sweeper=sweeper", "hydra.sweeper.launcher=inline"]
    command += [f"hydra.sweeper.study_name={study}", f"hydra.sweeper.n_trials={trials}", "+x=interval(0, 1)"]
    environment = {**os.environ, "SWEEPER_STORAGE": url}
    subprocess.run(command, check=True, capture_output=True, cwd=folder, env=environment)
    rows = History(url).trials(study)
    began = min(row.started_at for row in rows if row.started_at is not None)
    return trials / (max(row.ended_at for row in rows if row.ended_at is not None) - began)


def read(origin: str, study: str, over: threading.Event, took: list[float]) -> None:
    """What an open page of a study asks for: the mark every two seconds, the page again when it has changed."""
    mark = None
    while not over.is_set():
        try:
            began = time.perf_counter()
            found = json.loads(ask(origin, f"/api/pulse?study={study}"))
            if found["mark"] != mark:
                ask(origin, f"/study?study={study}")
                mark = found["mark"]
            took.append(time.perf_counter() - began)
        except urllib.error.HTTPError as error:
            if error.code != 404:  # the sweep has not begun
                took.append(-1.0)
        except OSError:
            took.append(-1.0)
        over.wait(2.0)


def ask(origin: str, address: str) -> bytes:
    request = urllib.request.Request(origin + address, headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return bytes(answer.read())


@contextmanager
def serving(url: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`sweeper ui` in a process of its own."""
    command = [sys.executable, "-m", "sweeper.cli", "ui", "--port", "0", "--storage", url]
    environment = {**os.environ, "SWEEPER_UI_TOKEN": TOKEN}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    line = ""
    while "token=" not in line:
        line = process.stdout.readline()
    try:
        yield line.strip().partition("/?")[0], process
    finally:
        process.kill()
        process.wait()


SECTIONS: dict[str, Callable[[str, Path], None]] = {
    "pages": measure_pages,
    "memory": measure_memory,
    "readers": measure_readers,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []])
    parser.add_argument("--trials", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sweeper-bench-") as folder:
        url = f"sqlite:///{folder}/big.db"
        fill(url, options.trials)
        for name in options.sections or SECTIONS:
            print(f"{name}:", flush=True)
            SECTIONS[name](url, Path(folder))


if __name__ == "__main__":
    main()
