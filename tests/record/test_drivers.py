"""Two drivers on one study, doing whatever they like in any order, held against a model of a few lines."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import optuna
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from sweeper.errors import Superseded
from sweeper.record import Record, Storage, open_database
from sweeper.record.alive import clock
from sweeper.record.tables import sweeps
from tests.record.samples import make_sweep

LIMIT = 6
ANYBODY = ""  # owns a trial that no driver has claimed yet
DRIVERS = st.sampled_from([0, 1])
TRIALS = st.integers(0, LIMIT - 1)


class Drivers(RuleBasedStateMachine):
    """The model: for each number a state, an owner and a value; for each driver whether its sweep is its own still."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sweeper-drivers-"))
        url = f"sqlite:///{self.folder}/study.db"
        self.storages = [Storage(open_database(url)) for _ in range(2)]
        self.records = [Record(storage) for storage in self.storages]
        optuna.create_study(storage=self.storages[0], study_name="digits")
        self.study_id = self.storages[0].get_study_id_from_name("digits")
        self.launches = 0
        self.names = ["", ""]
        self.holds = [False, False]
        self.model: dict[int, tuple[TrialState, str | None, float | None]] = {}
        for driver in range(2):
            self.launch(driver)

    def launch(self, driver: int) -> None:
        self.launches += 1
        self.names[driver] = f"{self.launches:032x}"
        elsewhere = make_sweep(sweep=self.names[driver]).process.replace(":", ":0", 1)  # nobody sees whether it runs
        self.records[driver].sweep_joined(make_sweep(sweep=self.names[driver], process=elsewhere)).result()
        self.holds[driver] = True

    @rule(driver=DRIVERS)
    def claim(self, driver: int) -> None:
        begun = sum(state != TrialState.WAITING for state, _, _ in self.model.values())
        waiting = [number for number, (state, _, _) in sorted(self.model.items()) if state == TrialState.WAITING]
        try:
            trial_id = self.storages[driver].claim_trial_within(self.study_id, LIMIT)
        except Superseded:
            assert not self.holds[driver]
            return
        assert self.holds[driver]
        assert (trial_id is None) == (begun >= LIMIT)
        if trial_id is not None:
            number = self.storages[driver].get_trial_number_from_id(trial_id)
            assert number == (waiting[0] if waiting else len(self.model))
            self.model[number] = (TrialState.RUNNING, self.names[driver], None)

    @rule(
        driver=DRIVERS, number=TRIALS, value=st.floats(-10, 10), state=st.sampled_from(["COMPLETE", "FAIL", "WAITING"])
    )
    def end(self, driver: int, number: int, value: float, state: str) -> None:
        if number not in self.model:
            return
        before, owner, _ = self.model[number]
        told = [value] if state == "COMPLETE" else None
        storage = self.storages[driver]
        trial_id = storage.get_trial_id_from_study_id_trial_number(self.study_id, number)
        try:
            storage.set_trial_state_values(trial_id, TrialState[state], told)
        except UpdateFinishedTrialError:
            assert before.is_finished()
        except Superseded:
            assert not before.is_finished() and owner not in (ANYBODY, self.names[driver])
        else:
            assert owner == ANYBODY or (before, owner) == (TrialState.RUNNING, self.names[driver])
            new_owner = None if state == "WAITING" else owner
            self.model[number] = (TrialState[state], new_owner, value if told else None)

    @precondition(lambda self: all(self.holds))
    @rule(dead=DRIVERS)
    def expire_and_take_over(self, dead: int) -> None:
        """A driver is silent for too long: the other buries it and adopts its trials."""
        heir = 1 - dead
        with self.storages[heir].database.engine.connect() as connection:
            past = sweeps.update().where(sweeps.c.sweep == self.names[dead]).values(lease_until=clock(connection) - 1)
            connection.execute(past)
        assert self.records[heir].bury("digits", self.names[heir]).result() == 1
        self.holds[dead] = False
        for orphan in self.records[heir].orphans("digits"):
            state, owner, _ = self.model[orphan.number]
            assert (state, owner) == (TrialState.RUNNING, orphan.owner)
            assert self.storages[heir].adopt_trial(orphan.trial_id, orphan.owner)
            assert not self.storages[heir].adopt_trial(orphan.trial_id, orphan.owner)
            self.model[orphan.number] = (state, self.names[heir], None)

    @rule(driver=DRIVERS)
    def launch_again(self, driver: int) -> None:
        if not self.holds[driver]:
            self.launch(driver)

    @rule()
    def enqueue(self) -> None:
        optuna.load_study(storage=self.storages[0], study_name="digits").enqueue_trial({})
        self.model[len(self.model)] = (TrialState.WAITING, ANYBODY, None)

    @invariant()
    def both_see_the_model(self) -> None:
        for storage in getattr(self, "storages", ()):
            seen = {trial.number: (trial.state, trial.value) for trial in storage.get_all_trials(self.study_id)}
            assert seen == {number: (state, value) for number, (state, _, value) in self.model.items()}

    def teardown(self) -> None:
        for storage in getattr(self, "storages", ()):
            storage.close()
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)


TestDrivers = Drivers.TestCase
TestDrivers.settings = settings(max_examples=5, stateful_step_count=20, deadline=None)
