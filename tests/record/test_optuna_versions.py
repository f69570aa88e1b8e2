"""Optuna of other releases, in environments of their own, open a database that a running sweep is writing to."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from contextlib import closing
from typing import Any

import optuna
import pytest

from sweeper.record import Record, Storage
from sweeper.trial import Measured
from tests.record.samples import make_spec, make_sweep

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

_CONTEXT = multiprocessing.get_context("forkserver")

# Looks at the study ten times, with a storage made anew; prints what it saw each time.
_READER = """
import json, sys
import optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
for _ in range(10):
    storage = optuna.storages.RDBStorage(sys.argv[1])
    trials = optuna.load_study(study_name="digits", storage=storage).get_trials()
    storage.remove_session()
    storage.engine.dispose()
    seen = [[t.number, t.state.name, t.values, t.params, t.user_attrs, t.intermediate_values] for t in trials]
    print(json.dumps(seen))
print(json.dumps(optuna.__version__))
"""


def sweep(url: str, begun: Any) -> None:
    """A driver at work, until it is killed."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = Storage(url)
    record = Record(storage)
    study = optuna.create_study(storage=storage, study_name="digits", sampler=optuna.samplers.RandomSampler())
    record.sweep_opened(make_sweep()).result()
    while True:
        trial = study.ask()
        run = f"{trial.number:032}"
        record.run_opened("s" * 32, make_spec(number=trial.number, run=run)).result()
        x = trial.suggest_float("x", 0.0, 1.0)
        trial.set_user_attr("twice", 2 * x)
        trial.report(x / 2, 1)
        record.heard([Measured(run, seq, 0.0, seq, {"loss": x}) for seq in range(20)]).result()
        study.tell(trial, x)
        begun.set()


def check(trials: list[list[Any]]) -> int:
    """Every trial is whole; the number of those that are complete."""
    complete = 0
    for place, (number, state, values, params, attrs, points) in enumerate(trials):
        assert number == place
        if state == "COMPLETE":
            x = params["x"]
            assert (values, attrs, points) == ([x], {"twice": 2 * x}, {"1": x / 2})
            complete += 1
    assert complete >= len(trials) - 1
    return complete


@pytest.fixture(scope="module", params=["optuna>=4,<5", "optuna>=5,<6"])
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of a fresh environment with that Optuna."""
    folder = tmp_path_factory.mktemp("environment")
    python = f"{folder}/bin/python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)  # ours will do
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, request.param, "psycopg[binary]"], check=True)
    return python


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_running_sweep_is_read_whole(python: str, engine: str, request: pytest.FixtureRequest) -> None:
    url: str = request.getfixturevalue("sqlite_url" if engine == "sqlite" else "postgres_url")
    begun = _CONTEXT.Event()
    driver = _CONTEXT.Process(target=sweep, args=(url, begun), daemon=True)
    driver.start()
    begun.wait()
    theirs = url.replace("postgresql:", "postgresql+psycopg:")
    found = subprocess.run([python, "-c", _READER, theirs], capture_output=True, text=True, check=True)
    driver.kill()
    driver.join()
    *looks, version = [json.loads(line) for line in found.stdout.splitlines()]
    counts = [check(trials) for trials in looks]
    assert counts == sorted(counts) and counts[0] < counts[-1]
    with closing(Storage(url)) as storage:
        assert storage.get_n_trials(storage.get_study_id_from_name("digits")) >= counts[-1]
    assert version.split(".")[0] in ("4", "5")
