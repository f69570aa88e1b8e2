"""Searching: each field, absent values, both engines; and that no text of a query becomes SQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.trial import TrialState
from sqlalchemy import Table, insert

from sweeper.errors import QueryError
from sweeper.history import History
from sweeper.record import tables
from tests.history.database import Written, add, sqlite_url
from tests.record.conftest import PostgresServer

ENVIRONMENT = {
    "packages": {"torch": "2.10.0", "scikit-learn": "1.5"},
    "python": {"version": "3.11.7"},
    "gpus": {"driver": "550.54", "cuda_driver": "12.4", "visible": [{"name": "NVIDIA H100 80GB"}]},
}


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def history(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """Study a: trials 0 to 2 with everything, 3 failed with little; study b: one trial that only Optuna knows."""
    url = sqlite_url(tmp_path_factory.mktemp("search"))
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.url_of(server.create_database())
    written = Written(url)
    written.our_tables()
    study = written.study("a", metric_names=("acc",))
    sweep = written.sweep("a")
    for number in range(3):
        add(study, 0.9 + number / 100, lr=10.0 ** -(number + 1), act=("relu", None, 3)[number])
        written.run(
            "a",
            number,
            sweep=sweep,
            curves={"val/loss": [1.0, 0.5 - number / 10]},
            config=json.dumps({"model": {"name": "cnn", "depth": number}, "nan": float("nan")}),
            seed=number,
            environment="e" * 64 if number else None,
            code="c" * 64 if number == 2 else None,
        )
    add(study, state=TrialState.FAIL)
    written.run("a", 3, sweep=sweep, state="FAIL", failure="oom", error="CUDA: out of 100% memory_1", runtime_s=None)
    add(written.study("b"), 0.5)
    _fill(written)
    yield History(url)
    written.close()


def _fill(written: Written) -> None:
    def put(table: Table, **row: object) -> None:
        with written.engine.begin() as connection:
            connection.execute(insert(table), [row])

    put(tables.environments, environment="e" * 64, document=json.dumps(ENVIRONMENT), captured_at=1.0)
    put(
        tables.code,
        code="c" * 64,
        commit="1234abcd",
        branch="main",
        remote=None,
        is_dirty=True,
        document="{}",
        taken_at=1.0,
    )
    put(tables.tags, study="a", number=1, tag="paper", user="ada", time=1.0)
    put(tables.test_metrics, run_id=1, seq=1, name="acc", step=None, value=0.7, time=1.0)
    put(
        tables.artifacts,
        run_id=1,
        name="best.pt",
        kind="model",
        size=1,
        sha256="0" * 64,
        error=None,
        time=1.0,
        seq=1,
    )


def found(history: History, query: str) -> list[str]:
    return [f"{hit.study}{hit.number}" for hit in history.search(query, 100)]


@pytest.mark.parametrize(
    ("query", "trials"),
    [
        ("value > 0.905", ["a1", "a2"]),
        ("values.acc >= 0.91", ["a1", "a2"]),
        ("values.other > 0", []),
        ("state = complete", ["a0", "a1", "a2", "b0"]),
        ("state != complete", ["a3"]),
        ("state in (fail, pruned)", ["a3"]),
        ("study = b", ["b0"]),
        ("study ~ A", ["a0", "a1", "a2", "a3"]),
        ("number >= 2", ["a2", "a3"]),
        ("params.optimizer.lr < 0.05", ["a1", "a2", "a3", "b0"]),
        ("params.model.act = relu", ["a0"]),
        ("params.model.act = 3", ["a2"]),
        ('params.model.act = "3"', ["a2"]),
        ("params.model.act != relu and study = a and state = complete", ["a1", "a2"]),
        ("params.nothing = null", ["a0", "a1", "a2", "a3", "b0"]),
        ("params.nothing != null", []),
        ("metrics.val/loss < 0.45", ["a1", "a2"]),
        ("metrics.val/loss = null", ["a3", "b0"]),
        ("not (metrics.val/loss < 0.45)", ["a0"]),
        ("config.model.name = cnn and config.model.depth > 0", ["a1", "a2"]),
        ("config.model.none = null and study = a and state = complete", ["a0", "a1", "a2"]),
        ("seed in (0, 2)", ["a0", "a2"]),
        ("failure = oom", ["a3"]),
        ('error ~ "100% memory_1"', ["a3"]),
        ('error ~ "100_ memory%1"', []),
        ('env.package("torch") > "2.9"', ["a1", "a2"]),
        ('env.package("torch") < "2.9"', []),
        ('env.package("scikit_learn") = "1.5.0"', ["a1", "a2"]),
        ('env.package("jax") = null', ["a0", "a1", "a2", "a3", "b0"]),
        ("env.gpu ~ h100 and env.driver >= 550", ["a1", "a2"]),
        ("env.python >= 3.11", ["a1", "a2"]),
        ("code.dirty = true and code.commit ~ 1234", ["a2"]),
        ("code.branch = main", ["a2"]),
        ("tag = paper", ["a1"]),
        ("tag != paper and study = a", ["a0", "a2", "a3"]),
        ("tag = null and study = a", ["a0", "a2", "a3"]),
        ("artifact ~ '.pt'", ["a0"]),
        ("tests.acc > 0.5", ["a0"]),
        ("user = ada", ["a0", "a1", "a2", "a3"]),
        ("runtime_s = null", ["a3", "b0"]),
        ("value < inf", ["a0", "a1", "a2", "b0"]),
        ("value > 0.905 or failure = oom", ["a1", "a2", "a3"]),
    ],
)
def test_each_field(history: History, query: str, trials: list[str]) -> None:
    assert found(history, query) == trials


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("seed = many", "seed is a number"),
        ("metrics.loss ~ 3", "metrics.loss is a number"),
        ("state = done", "complete, pruned, fail, running, waiting"),
        ("code.dirty = 3", "code.dirty = true or code.dirty = false"),
        ("node < null", "< null means nothing"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(history: History, query: str, said: str) -> None:
    with pytest.raises(QueryError) as caught:
        history.search(query, 10)
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["' or 1=1 --", "x'; drop table trials; --", "%", "_", "\\"])
def test_text_stays_text(history: History, text: str) -> None:
    quoted = '"' + text.replace("\\", "\\\\") + '"'
    for field in ("study", "error", "params.model.act", "metrics." + quoted + " > 1 or study", "tag"):
        assert found(history, f"{field} = {quoted}") == []
    assert len(found(history, "number >= 0")) == 5


def test_a_hit_has_what_lists_show(history: History) -> None:
    (hit,) = history.search("tag = paper", 10)
    assert (hit.study, hit.number, hit.state, hit.tags) == ("a", 1, "COMPLETE", ("paper",))
    assert hit.values == (0.91,)
    assert hit.metrics["val/loss"] == 0.4


def test_no_more_than_asked_for(history: History) -> None:
    assert [hit.number for hit in history.search("study = a", 2)] == [0, 1]


def test_a_database_that_only_optuna_wrote(tmp_path: Path) -> None:
    written = Written(sqlite_url(tmp_path))
    add(written.study("plain"), 0.5)
    history = History(written.url)
    assert found(history, "value = 0.5 and params.model.depth >= 1") == ["plain0"]
    assert found(history, "seed = 3 or tag = x or tests.a > 1") == []
    assert found(history, "seed = null") == ["plain0"]
    written.close()
