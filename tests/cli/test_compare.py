"""`sweeper compare`: on a terminal, for programs, and what it refuses."""

from __future__ import annotations

import csv
import io
import json

import pytest
from sqlalchemy import insert

from sweeper.record import tables
from tests.cli.conftest import Sweeper
from tests.history.database import Written, add


@pytest.fixture
def two(written: Written) -> Written:
    """Two runs of one study: another learning rate, another torch, curves that part at step 1."""
    study = written.study("digits", metric_names=("acc",))
    written.our_tables()
    sweep = written.sweep("digits")
    for number, torch in enumerate(("2.4.0", "2.5.1")):
        environment = str(number) * 64
        document = {"packages": {"torch": torch, "rich": "14.0"}, "gpus": {"none": "no driver"}}
        with written.engine.begin() as connection:
            row = {"environment": environment, "document": json.dumps(document), "captured_at": 1.0}
            connection.execute(insert(tables.environments), [row])
        add(study, 0.9 + number / 100, lr=0.1 / (number + 1))
        written.run(
            "digits",
            number,
            sweep=sweep,
            environment=environment,
            config=json.dumps({"optimizer": {"lr": 0.1 / (number + 1)}, "name": "\x1b[2Jrun", "depth": 3}),
            curves={"acc": [0.5, 0.7 + number / 10, 0.9], "val/loss": [2.0, 1.0 - number / 2, 1.5]},
        )
    add(written.study("plain"), 0.5)
    return written


@pytest.mark.usefixtures("two")
class TestCompare:
    def test_the_page_says_what_differs_most_telling_first(self, sweeper: Sweeper) -> None:
        found = sweeper("compare", "digits/0", "digits/1")
        assert found.status == 0
        assert found.out.splitlines()[:3] == [
            "digits/0 and digits/1",
            "the same: GPU; different: config, seed, packages; not on record: code",
            "the curves part at step 1, first in acc, by 0.1",
        ]
        keys = found.out[found.out.index("\nkeys\n") :].splitlines()[3:]
        assert [" ".join(line.split()) for line in keys] == [
            "config optimizer.lr 0.1 0.05",
            "seed seed 1000 1001",
            "packages torch 2.4.0 2.5.1",
        ]

    def test_metrics_have_their_last_and_best_values(self, sweeper: Sweeper) -> None:
        lines = [" ".join(line.split()) for line in sweeper("compare", "digits/0", "digits/1").out.splitlines()]
        assert "acc 0.9 0.91" in lines
        assert "acc last 0.9 0.9 step 1" in lines
        assert "val/loss last 1.5 1.5 step 1" in lines
        assert "val/loss least 1.0 0.5" in lines

    def test_all_has_what_is_the_same_too(self, sweeper: Sweeper) -> None:
        assert "depth" not in sweeper("compare", "digits/0", "digits/1").out
        assert "depth" in sweeper("compare", "digits/0", "digits/1", "--all").out

    def test_a_hostile_value_cannot_clear_the_screen(self, sweeper: Sweeper) -> None:
        for columns in (None, 120):
            assert "\x1b[2J" not in sweeper("compare", "digits/0", "digits/1", "--all", columns=columns).out

    def test_json(self, sweeper: Sweeper) -> None:
        found = sweeper("compare", "digits/0", "digits/1", "--json").json
        assert found["parts_at"] == {"step": 1, "metric": "acc"}
        assert [row["key"] for row in found["differences"]] == ["optimizer.lr", "seed", "torch"]
        assert [run["name"] for run in found["runs"]] == ["digits/0", "digits/1"]

    def test_more_of_the_objective_for_each_hour_on_a_card(self, sweeper: Sweeper, two: Written) -> None:
        two.run("digits", 0, attempt=1, gpu_seconds=1800.0)
        assert [
            run["objective_per_gpu_hour"] for run in sweeper("compare", "digits/0", "digits/1", "--json").json["runs"]
        ] == [
            1.8,
            None,
        ]
        lines = [" ".join(line.split()) for line in sweeper("compare", "digits/0", "digits/1").out.splitlines()]
        assert any(line.startswith("acc per GPU-hour 1.8") for line in lines)

    def test_csv(self, sweeper: Sweeper) -> None:
        rows = list(csv.DictReader(io.StringIO(sweeper("compare", "digits/0", "digits/1", "--csv").out)))
        assert {"section": "packages", "key": "torch", "digits/0": "2.4.0", "digits/1": "2.5.1"} in rows
        assert {"section": "metric best", "key": "val/loss", "digits/0": "1.0", "digits/1": "0.5"} in rows

    def test_a_run_is_the_same_as_itself(self, sweeper: Sweeper) -> None:
        out = sweeper("compare", "digits/0", "digits/0").out
        assert "different: nothing" in out
        assert "the same, point by point" in out

    @pytest.mark.parametrize(
        ("names", "said"),
        [
            (["digits/0"], "name two or more"),
            (["digits/0", "digits/7"], "there is no trial 7 in 'digits'"),
            (["digits/0", "plain/0"], "plain/0 was not run by sweeper"),
            (["digits/0", "digits"], "write STUDY/NUMBER"),
        ],
    )
    def test_what_cannot_be_compared(self, sweeper: Sweeper, names: list[str], said: str) -> None:
        found = sweeper("compare", *names)
        assert (found.status, said in found.err) == (2, True)


def test_more_than_two_can_be_compared(sweeper: Sweeper, two: Written) -> None:
    (row,) = (
        line for line in sweeper("compare", "digits/0", "digits/1", "digits/0").out.splitlines() if "torch" in line
    )
    assert row.split() == ["packages", "torch", "2.4.0", "2.5.1", "2.4.0"]
