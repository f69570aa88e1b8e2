"""A connection that is cut at any answer of the server: every write is there once, as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from sweeper.record import Record, Storage
from tests.record.conftest import PostgresServer
from tests.record.proxy import Proxy
from tests.record.rows import everything
from tests.record.samples import LIFE, make_spec, make_sweep

pytestmark = pytest.mark.slow


@dataclass
class Scene:
    """A study with a running, a waiting and some finished trials, a sweep and a run, before the write under test."""

    storage: Storage
    record: Record
    study: optuna.Study
    running: optuna.Trial

    @classmethod
    def at(cls, url: str) -> Scene:
        storage = Storage(url)
        study = optuna.create_study(storage=storage, study_name="digits", sampler=optuna.samplers.RandomSampler(seed=1))
        for _ in range(5):  # the study counts as one driver's own, and what it does is foreseen
            study.tell(study.ask(), 1.0)
        running = study.ask()
        study.enqueue_trial({"x": 0.5})
        record = Record(storage)
        record.sweep_opened(make_sweep()).result()
        record.run_opened("s" * 32, make_spec(number=5)).result()
        return cls(storage, record, study, running)


def with_params(scene: Scene) -> None:
    scene.running.suggest_float("x", 0.0, 1.0)
    scene.running.suggest_categorical("act", ["relu", "tanh"])
    scene.running.report(0.5, 3)
    scene.running.set_user_attr("note", {"a": 1})
    scene.study.tell(scene.running, 2.0)


WRITES: dict[str, Callable[[Scene], Any]] = {
    "create a study": lambda scene: optuna.create_study(storage=scene.storage, study_name="other"),
    "set a study's attribute": lambda scene: scene.study.set_user_attr("a", 1),
    "delete the study": lambda scene: scene.storage.delete_study(scene.study._study_id),
    "create a trial": lambda scene: scene.storage.create_new_trial(scene.study._study_id),
    "enqueue a trial": lambda scene: scene.study.enqueue_trial({"x": 0.25}, user_attrs={"by": "ada"}),
    "claim the waiting trial": lambda scene: scene.study.ask(),
    "tell a trial with all it holds": with_params,
    "give a trial back": lambda scene: scene.storage.set_trial_state_values(
        scene.running._trial_id, TrialState.WAITING
    ),
    "open a sweep": lambda scene: scene.record.sweep_joined(make_sweep(sweep="t" * 32)).result(),
    "end a sweep": lambda scene: scene.record.sweep_ended("s" * 32, "finished").result(),
    "open a run": lambda scene: scene.record.run_opened("s" * 32, make_spec(number=6, run="b" * 32)).result(),
    "hear of a run": lambda scene: scene.record.heard(LIFE).result(),
}


@pytest.fixture
def proxy(postgres_server: PostgresServer) -> Iterator[Proxy]:
    with Proxy(Path(postgres_server.folder, ".s.PGSQL.5432")) as proxy:
        yield proxy


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_is_there_once_wherever_the_connection_is_cut(
    write: Callable[[Scene], Any], proxy: Proxy, postgres_server: PostgresServer, _postgres_template: str
) -> None:
    def scene() -> Scene:
        name = postgres_server.create_database(_postgres_template)
        return Scene.at(f"postgresql://sweeper@127.0.0.1:{proxy.port}/{name}?sslmode=disable")

    calm = scene()
    proxy.listen()
    write(calm)
    answers = list(proxy.answers)
    expected = everything(calm.storage)
    calm.storage.close()
    assert answers.count("COMMIT") >= 1
    for cut in range(len(answers)):
        troubled = scene()
        proxy.cut_at(cut)
        write(troubled)
        assert proxy.cut.is_set(), f"nothing was cut at answer {cut} of {answers}"
        assert everything(troubled.storage) == expected, f"cut at answer {cut} of {answers}"
        troubled.storage.close()
