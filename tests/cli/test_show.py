from __future__ import annotations

import csv
import io
import json
import math
import re

import pytest
from rich.text import Text

from tests.cli.conftest import Sweeper
from tests.history.database import STARTED, Written, add


def test_a_study_on_one_page(sweeper: Sweeper, digits_url: str) -> None:
    out = sweeper("show", "digits", "--storage", digits_url).out
    assert out.startswith("digits  maximize val/accuracy\n")
    assert "10: 6 complete, 1 pruned, 2 fail (1 error, 1 oom), 1 running" in out
    for line in (
        "optimizer.lr  1e-05 … 0.1, log",
        "model.depth   1 … 8, integer",
        "model.act     relu | null | true | 3",
        "  2023-11-14 22:13:20 UTC, 1 min, finished, by ada@node-a:",
        "    python train.py -m",
    ):
        assert line in out.splitlines()
    assert f"next  export SWEEPER_STORAGE={digits_url}\n" in out
    assert out.splitlines()[-1].strip() == "sweeper best digits · sweeper show digits/9"


def test_a_study_for_programs(sweeper: Sweeper, digits_url: str) -> None:
    found = sweeper("show", "digits", "--json", "--storage", digits_url).json
    assert len(found["trials"]) == 10 and found["failures"] == {"error": 1, "oom": 1}
    assert found["launches"][0]["started_at"] == "2023-11-14T22:13:20Z"
    rows = list(csv.DictReader(io.StringIO(sweeper("show", "digits", "--csv", "--storage", digits_url).out)))
    assert [row["number"] for row in rows] == [str(n) for n in range(10)]
    assert rows[5]["values.val/accuracy"] == str(0.9 + 5 / 100) and rows[7]["failure"] == "error"


def test_an_empty_study(sweeper: Sweeper, written: Written) -> None:
    written.study("s")
    assert "s has no finished trial yet." in sweeper("show", "s").out


def test_a_complete_trial_beside_the_best(sweeper: Sweeper, digits_url: str) -> None:
    out = sweeper("show", "digits/2", "--storage", digits_url).out
    assert out.startswith("digits/2  complete\n")
    assert "val/accuracy  0.92   best: 0.9500000000000001 in trial 5" in out
    assert "optimizer.lr  0.001  0.01" in out
    assert "seed  2     5" in out  # the config's, not the parameters'
    assert re.search(r"loss +0\.2 +2 +0\.2 +1\.0  █▄▁\n", out)
    assert f"{STARTED:.0f}" not in out


def test_the_best_trial_says_so(sweeper: Sweeper, digits_url: str) -> None:
    out = sweeper("show", "digits/5", "--storage", digits_url).out
    assert "   the best\n" in out and "differs" not in out


def test_a_failed_trial_tells_why(sweeper: Sweeper, digits_url: str) -> None:
    out = sweeper("show", "digits/7", "--storage", digits_url).out
    assert out.startswith("digits/7  fail error\n")
    assert "attempt 2 of 2, on node-a, seed 1007, peak memory 512 MiB" in out
    assert "error\n  ValueError: learning rate too high\n" in out
    assert "traceback\n  Traceback (most recent call last):\n    in main\n" in out
    assert "  epoch 98\n  epoch 99\n" in out and "epoch 50" not in out


def test_a_log_on_another_machine(sweeper: Sweeper, digits_url: str) -> None:
    out = sweeper("show", "digits/8", "--storage", digits_url).out
    assert "/data/multirun/8/trial.log is not on this machine" in out


def test_a_trial_for_programs(sweeper: Sweeper, digits_url: str) -> None:
    found = sweeper("show", "digits/7", "--json", "--storage", digits_url).json
    assert (found["study"], found["number"], found["failure"]) == ("digits", 7, "error")
    assert [run["attempt"] for run in found["runs"]] == [0, 1]
    assert found["runs"][1]["config"]["seed"] == 7 and found["runs"][1]["started_at"].endswith("Z")
    rows = list(csv.DictReader(io.StringIO(sweeper("show", "digits/6", "--csv", "--storage", digits_url).out)))
    assert [(row["name"], row["step"], row["value"]) for row in rows] == [("loss", "0", "1.0"), ("loss", "1", "NaN")]


HOSTILE = "a\x1b]0;pwned\x07\r\n\u202eb\udcff"


@pytest.mark.parametrize("columns", [None, 60])
def test_hostile_text_reaches_no_terminal(sweeper: Sweeper, written: Written, columns: int | None) -> None:
    name = "s\x1b[2J\u202e\n"
    study = written.study(name, metric_names=("acc\x9b1m",))
    study.optimize(lambda trial: trial.suggest_float("x\x1b[31m", 0, 1), n_trials=1)
    written.our_tables()
    text = HOSTILE.replace("\udcff", "")  # SQLite takes no lone surrogate
    add(study, state=study.trials[0].state.FAIL)
    written.sweep(name, command=text, user=text, host=text, outcome="o\x1b")
    for number, state in ((0, "COMPLETE"), (1, "FAIL")):
        written.run(
            name,
            number,
            state=state,
            failure="f\x1b",
            error=text,
            traceback=f"{text}\n\x1b[1m",
            config=json.dumps({text: HOSTILE, "n": number}),
            overrides=json.dumps([HOSTILE]),
            folder=text,
            node=text,
            curves={text: [1.0]},
        )
    for arguments in (["ls"], ["best", name], ["show", name], ["show", f"{name}/0"], ["show", f"{name}/1"]):
        found = sweeper(*arguments, columns=columns)
        assert (found.status, found.err) == (0, "")
        plain = "\n".join(Text.from_ansi(line).plain for line in found.out.split("\n")) if columns else found.out
        assert "pwned" in plain or arguments[0] != "show"
        assert all(c == "\n" or c.isprintable() for c in plain)
        if columns:  # only colours of our own are left
            for start in found.out.split("\x1b")[1:]:
                assert start.startswith("[") and start.lstrip("[0123456789;").startswith("m")


@pytest.mark.parametrize("columns", [50, 80, 160])
@pytest.mark.parametrize("name", ["digits", "digits/2", "digits/7", "digits/9"])
def test_pages_fit_the_terminal(sweeper: Sweeper, digits_url: str, name: str, columns: int) -> None:
    out = sweeper("show", name, "--storage", digits_url, columns=columns).out
    assert max(len(Text.from_ansi(line).plain) for line in out.splitlines()) <= columns


def test_a_curve_without_a_finite_value(sweeper: Sweeper, written: Written) -> None:
    add(written.study("s"), 1.0)
    written.our_tables()
    written.run("s", 0, curves={"loss": [math.nan, math.nan]})
    assert re.search(r"loss +nan +1 +– +–\n", sweeper("show", "s/0").out)
