from __future__ import annotations

import pytest
from optuna.trial import TrialState

from sweeper.cli.summary import summary
from tests.history.database import Written, add


def test_a_sweep_ends_with_its_winners_what_mattered_and_what_to_type(
    digits_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEPER_STORAGE", digits_url)
    summary(digits_url, "digits")
    out = capsys.readouterr().out
    assert out.index("best trials of digits\n") < out.index("digits/5") < out.index("\nimportance\n")
    assert "6 complete trials are too few to tell what mattered; from 10 on it is said here\n" in out
    assert "10: 6 complete, 1 pruned, 2 fail (1 error, 1 oom), 1 running" in out
    assert f"database  {digits_url}\n" in out
    assert out.endswith("next  sweeper best digits · sweeper show digits/5 · sweeper show digits/8\n")


def test_every_objective_has_its_importance(written: Written, capsys: pytest.CaptureFixture[str]) -> None:
    study = written.study("front", ("maximize", "minimize"), ("acc", "size"))
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)), n_trials=10)
    summary(written.url, "front")
    out = capsys.readouterr().out
    assert "Pareto front of front\n" in out
    assert "importance for acc\n" in out and "importance for size\n" in out
    assert out.count("10 of 10 trials used\n") == 2
    assert f"export SWEEPER_STORAGE={written.url}\n" in out


def test_a_sweep_that_only_failed(written: Written, capsys: pytest.CaptureFixture[str]) -> None:
    study = written.study("it's\x1b")
    add(study, state=TrialState.FAIL)
    summary(written.url, "it's\x1b")
    out = capsys.readouterr().out
    assert r"it's\x1b has no complete trial yet: 0 pruned, 1 failed." in out
    assert r"""sweeper show 'it'"'"'s\x1b/0'""" in out and "\x1b" not in out and "importance for" not in out
