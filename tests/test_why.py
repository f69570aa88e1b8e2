"""A sampler asked again, from what is on record and nothing else, gives the point that it gave."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import optuna
import pytest
from omegaconf import OmegaConf
from optuna.trial import TrialState

from sweeper import infeasible
from sweeper import sampler as sampling
from sweeper.history import History, TrialName
from sweeper.record import Record, Storage
from sweeper.study import AskTellStudy, give_back
from sweeper.why import Why, why
from tests.cli.conftest import Sweeper, sweeper
from tests.record.samples import make_spec, make_sweep
from tests.test_sampler import SAMPLERS, space_of

__all__ = ["sweeper"]

GP = {"_target_": "optuna.samplers.GPSampler", "seed": 5, "n_startup_trials": 4}
TRIALS = 10
PRUNED, RETRIED, OUT_OF_MEMORY = 3, 4, 5  # trials that end like this


class Sweep:
    """A sweep that runs three trials at a time, in a database of its own."""

    def __init__(self, url: str, sampler: Mapping[str, Any], name: str) -> None:
        self.url = url
        self.storage = Storage(url)
        self.space = space_of(name)
        optuna.create_study(storage=self.storage, study_name="digits")
        built = sampling.build(OmegaConf.create(dict(sampler)), self.space)
        self.study = AskTellStudy("digits", self.storage, built, optuna.pruners.NopPruner(), seed=5)
        self.study.enqueue_trial({"p.x": 2, "p.y": 0} if name == "grid" else {"p.x": 2})
        self.record = Record(self.storage)
        self.record.sweep_opened(make_sweep(settings=json.dumps({"sampler": sampler, "seed": 5}))).result()

    def run(self) -> None:
        """The oldest trial ends when another has been asked for; one comes back in line, and runs again."""
        running: list[optuna.Trial] = []
        while (trial := self.study.ask_within(TRIALS, self.space.suggest)) is not None:
            attempt = self.storage.get_trial_system_attrs(trial._trial_id).get("sweeper:attempt", 0)
            spec = make_spec(number=trial.number, attempt=attempt, run=f"{attempt}{trial.number:031x}")
            self.record.run_opened("s" * 32, spec).result()
            running.append(trial)
            if len(running) > 2:
                self._end(running.pop(0))

    def _end(self, trial: optuna.Trial) -> None:
        if trial.number == RETRIED and len(self.study.trials) < TRIALS:
            give_back(self.study, trial._trial_id, 0)
        elif trial.number == OUT_OF_MEMORY:
            if infeasible.learns_from_any(self.study.sampler):
                infeasible.mark(self.study, trial)
            self.study.tell(trial, state=TrialState.FAIL)
        elif trial.number == PRUNED:
            trial.report(1.0, 0)
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            self.study.tell(trial, (trial.params["p.x"] - 2) ** 2 + trial.params["p.y"])

    def why(self, number: int) -> Why:
        return why(History(self.url), TrialName("digits", number))


@pytest.mark.parametrize("name", [*SAMPLERS, pytest.param("gp", marks=pytest.mark.slow)])
def test_every_sampler_gives_the_same_point_again(name: str, sqlite_url: str) -> None:
    sweep = Sweep(sqlite_url, SAMPLERS.get(name, GP), name)
    sweep.run()
    found = [sweep.why(number) for number in range(TRIALS)]
    assert [(one.problem, one.is_same) for one in found] == [(None, True)] * TRIALS
    sweep.storage.close()


class TestWhatIsTold:
    def test_what_a_choice_rested_on(self, sqlite_url: str) -> None:
        sweep = Sweep(sqlite_url, SAMPLERS["tpe"], "tpe")
        sweep.run()
        first, later = sweep.why(0), sweep.why(8)
        assert (first.given, first.finished, first.is_random) == (("p.x",), 0, True)
        assert (later.sampler, later.seed, later.given, later.is_random) == ("TPESampler", 5, (), False)
        assert (later.finished, later.running, later.waiting, later.startup) == (6, 2, 0, 4)
        sweep.storage.close()

    def test_the_page_and_the_json_say_so(self, sqlite_url: str, sweeper: Sweeper) -> None:
        sweep = Sweep(sqlite_url, SAMPLERS["tpe"], "tpe")
        sweep.run()
        lines = [
            " ".join(line.split())
            for line in sweeper("show", "digits/8", "--why", "--storage", sqlite_url).out.splitlines()
        ]
        assert lines[0] == "why digits/8 has its parameters"
        assert "had seen 6 trials that had finished, 2 that ran" in lines and "asked again the same point" in lines
        found = sweeper("show", "digits/8", "--why", "--json", "--storage", sqlite_url).json
        assert (found["is_same"], found["sampler"], found["finished"]) == (True, "TPESampler", 6)
        assert sweeper("show", "digits", "--why", "--storage", sqlite_url).status == 2
        sweep.storage.close()

    def test_another_point_is_not_called_the_same(self, sqlite_url: str) -> None:
        sweep = Sweep(sqlite_url, SAMPLERS["tpe"], "tpe")
        sweep.run()
        trial = sweep.study.trials[8]
        sweep.record.close()
        sweep.storage.close()
        _change(sqlite_url, trial._trial_id, trial.system_attrs[sampling.ASK] | {"seed": 6})
        found = sweep.why(8)
        assert (found.is_same, found.is_close, found.problem) == (False, False, None)
        assert found.again is not None and found.again.keys() == found.params.keys()

    def test_only_optunas_own_samplers_are_made_from_a_record(self, sqlite_url: str) -> None:
        sweep = Sweep(sqlite_url, SAMPLERS["random"], "random")
        sweep.record.sweep_ended("s" * 32, "finished").result()
        evil = json.dumps({"sampler": {"_target_": "os.system", "command": "touch evil"}})
        sweep.record.sweep_opened(make_sweep(sweep="t" * 32, settings=evil)).result()
        assert sweep.study.ask_within(1, sweep.space.suggest) is not None
        sweep.record.run_opened("t" * 32, make_spec()).result()
        assert sweep.why(0).problem == "its sampler was os.system, and only Optuna's own are asked again"
        sweep.storage.close()

    def test_a_trial_that_sweeper_did_not_ask_for(self, sqlite_url: str) -> None:
        storage = Storage(sqlite_url)
        optuna.create_study(storage=storage, study_name="digits").ask(
            {"x": optuna.distributions.FloatDistribution(0, 1)}
        )
        storage.close()
        found = why(History(sqlite_url), TrialName("digits", 0))
        assert found.again is None and found.is_same is None
        assert found.problem is not None and "is not on record" in found.problem


def _change(url: str, trial_id: int, view: object) -> None:
    """Write another view on record, behind everybody's back."""
    import sqlite3

    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        change = "UPDATE trial_system_attributes SET value_json = ? WHERE trial_id = ? AND key = ?"
        connection.execute(change, (json.dumps(view), trial_id, sampling.ASK))
    connection.close()
