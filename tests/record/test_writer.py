"""The writer: who waits commits, whatever interrupts it, and what was foreseen is checked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState, create_trial

from sweeper.record import Storage
from tests.record.conftest import PostgresServer
from tests.record.proxy import Proxy

_OFTEN = 10  # so many trials in a row, and a study counts as one driver's own, and its statements are prepared


class Interruption(BaseException):
    """What a signal's handler raises, as Ctrl-C does."""


def _before(step: Callable[..., None], *args: Any) -> None:
    raise Interruption


def _after(step: Callable[..., None], *args: Any) -> None:
    step(*args)
    raise Interruption


@pytest.mark.parametrize("moment", [_before, _after], ids=["before", "after"])
@pytest.mark.parametrize("step", ["begin", "commit"])
def test_a_write_that_is_interrupted_is_done_once(
    step: str, moment: Callable[..., None], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Storage(database_url)) as storage:
        study = optuna.create_study(storage=storage, study_name="digits")
        for call in range(6):
            template = create_trial(state=TrialState.WAITING, user_attrs={"call": call})
            with monkeypatch.context() as patch:
                patch.setattr(storage.writer.link, step, partial(moment, getattr(storage.writer.link, step)))
                patch.setattr(threading.Condition, "notify_all", lambda self: None)  # the writer's thread comes later
                with pytest.raises(Interruption):
                    storage.create_new_trial(study._study_id, template)
            study.set_user_attr("interrupted", call)
    with closing(Storage(database_url)) as storage:
        trials = optuna.load_study(storage=storage, study_name="digits").trials
    assert [trial.user_attrs["call"] for trial in trials] == list(range(6))


def test_threads_that_wait_at_once_are_all_served(database_url: str) -> None:
    with closing(Storage(database_url)) as storage:
        study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=1))

        def work() -> None:
            for _ in range(5):
                study.tell(study.ask(), 1.0)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [trial.number for trial in study.trials] == list(range(40))
        assert all(trial.state == TrialState.COMPLETE for trial in study.trials)


@pytest.fixture
def pair(postgres_url: str) -> Iterator[tuple[optuna.Study, optuna.Study]]:
    """One study in two processes' storages, the first of which takes it for its own."""
    with closing(Storage(postgres_url)) as ours, closing(Storage(postgres_url)) as theirs:
        study = optuna.create_study(storage=ours, study_name="digits", sampler=optuna.samplers.RandomSampler(seed=1))
        for _ in range(_OFTEN):
            study.tell(study.ask(), 1.0)
        yield study, optuna.load_study(storage=theirs, study_name="digits", sampler=optuna.samplers.RandomSampler())


@pytest.mark.slow
class TestForesight:
    """On PostgreSQL a transaction is decided before it is sent, and is void where the server has something else."""

    def test_it_takes_one_round_trip(self, postgres_server: PostgresServer, _postgres_template: str) -> None:
        name = postgres_server.create_database(_postgres_template)
        with Proxy(Path(postgres_server.folder, ".s.PGSQL.5432")) as proxy:
            url = f"postgresql://sweeper@127.0.0.1:{proxy.port}/{name}?sslmode=disable"
            with closing(Storage(url)) as storage:
                study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=1))
                for _ in range(_OFTEN):
                    study.tell(study.ask(), 1.0)
                proxy.listen()
                trial = study.ask()
                study.tell(trial, 1.0)
                assert proxy.round_trips == 3, "one to look for news, one to ask, one to tell"

    def test_somebody_elses_trial_takes_its_number(
        self, pair: tuple[optuna.Study, optuna.Study], caplog: pytest.LogCaptureFixture
    ) -> None:
        ours, theirs = pair
        numbers = [study.ask().number for study in (ours, theirs, ours, theirs, theirs, ours)]
        assert numbers == list(range(_OFTEN, _OFTEN + 6))
        assert not caplog.records, "to have foreseen something else is nothing to complain of"

    def test_a_trial_of_another_study_takes_its_id(self, pair: tuple[optuna.Study, optuna.Study]) -> None:
        ours, theirs = pair
        other = optuna.create_study(storage=theirs._storage, study_name="other")
        ids = [study.ask()._trial_id for study in (other, ours, other, ours)]
        assert ids == sorted(set(ids))
        assert [trial.number for trial in other.trials] == [0, 1]

    @pytest.mark.parametrize(
        "change",
        [
            lambda study, trial: study._storage.delete_study(study._study_id),
            lambda study, trial: study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL),
        ],
        ids=["deleted", "ended"],
    )
    def test_a_trial_that_is_gone_is_not_told(
        self, pair: tuple[optuna.Study, optuna.Study], change: Callable[[optuna.Study, optuna.Trial], None]
    ) -> None:
        ours, theirs = pair
        trial = ours.ask()
        trial.suggest_float("x", 0.0, 1.0)
        change(theirs, trial)
        with pytest.raises((UpdateFinishedTrialError, KeyError)):
            ours._storage.set_trial_state_values(trial._trial_id, TrialState.COMPLETE, [1.0])

    def test_a_trial_that_was_given_back_and_taken_again_is_not_ended_with_an_old_beginning(
        self, pair: tuple[optuna.Study, optuna.Study]
    ) -> None:
        ours, theirs = pair
        trial = ours.ask()
        theirs._storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
        again = theirs.ask()
        ours._storage.set_trial_state_values(trial._trial_id, TrialState.COMPLETE, [1.0])
        assert again._trial_id == trial._trial_id
        assert theirs.trials[-1].datetime_start == again.datetime_start
