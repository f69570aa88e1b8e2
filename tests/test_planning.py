from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sweeper.history import History, SpanRow, TrialRow
from sweeper.planning import took

APP = """
import time
from pathlib import Path

import hydra


@hydra.main(version_base="1.3", config_path="conf", config_name="app")
def main(cfg):
    Path(cfg.marks, "ran").touch()
    time.sleep(cfg.model.seconds)
    return cfg.x


if __name__ == "__main__":
    main()
"""
CONFIG = """
defaults: [_self_, {model: fast}, {override hydra/sweeper: sweeper}]
x: 0.5
marks: FOLDER
hydra:
  sweeper:
    when:
      model=slow: {model.seconds: "choice(0.3, 0.4)"}
"""
SPACE = ["model=fast,slow", "x=interval(0, 1)"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    (folder / "conf/model").mkdir(parents=True)
    (folder / "app.py").write_text(APP)
    (folder / "conf/app.yaml").write_text(CONFIG.replace("FOLDER", str(folder)))
    (folder / "conf/model/fast.yaml").write_text("seconds: 0.0\n")
    (folder / "conf/model/slow.yaml").write_text("seconds: 0.3\n")
    return folder


def sweeper(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"SWEEPER_STORAGE": f"sqlite:///{folder}/s.db", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "sweeper.cli", *words]
    return subprocess.run(
        command, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=240
    )


def planned(folder: Path, *words: str) -> dict[str, Any]:
    done = sweeper(folder, "plan", "app.py", "--json", *words, *SPACE)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def files(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.slow
def test_a_plan_starts_nothing_and_writes_nothing(folder: Path) -> None:
    before = files(folder)

    found = planned(folder, "--n-trials", "9")

    assert files(folder) == before
    assert (found["left"], found["n_trials"], found["forecast"]) == (9, 9, None)
    assert [branch["choices"] for branch in found["branches"]] == [{"model": "fast"}, {"model": "slow"}]
    assert [branch["params"] for branch in found["branches"]] == [2, 3]
    (node,) = found["prospect"]["nodes"]
    assert found["prospect"]["slots"] == node["cpus"] == os.cpu_count()

    told = sweeper(folder, "launch", "app.py", "--plan", "--n-trials", "9", *SPACE)

    assert files(folder) == before
    assert "9 of 9; the study is new" in told.stdout
    assert "--canary runs one trial" in told.stdout


@pytest.mark.slow
def test_a_canary_is_on_record_and_counts_for_nothing_and_then_the_study_itself_tells(folder: Path) -> None:
    url = f"sqlite:///{folder}/s.db"

    found = planned(folder, "--inline", "--canary", "--n-trials", "4")

    assert (folder / "ran").exists()
    assert [study.name for study in History(url).studies()] == ["canary/app"]
    assert found["left"] == 4
    assert found["runs"]["study"] == "canary/app"
    assert found["forecast"]["held_s"] == pytest.approx(4 * found["runs"]["took_s"][0])

    assert sweeper(folder, "launch", "app.py", "--inline", "--n-trials", "4", *SPACE).returncode == 0
    found = planned(folder, "--inline", "--n-trials", "10")

    assert History(url).study("app").counts["COMPLETE"] == 4
    assert (found["left"], found["counts"]["COMPLETE"]) == (6, 4)
    assert (found["runs"]["study"], len(found["runs"]["took_s"])) == ("app", 4)
    known = {branch["choices"]["model"]: branch["runs"] for branch in found["branches"]}
    assert sum(len(runs["took_s"]) for runs in known.values() if runs) == 4
    assert all(took_s > 0.3 for took_s in (known["slow"] or {"took_s": []})["took_s"])


@pytest.mark.slow
def test_what_a_launch_would_refuse_a_plan_refuses_in_the_same_words(folder: Path) -> None:
    before = files(folder)
    impossible = ["hydra.sweeper.resources.cpus=9999", "model=fast,slow"]

    done = sweeper(folder, "plan", "app.py", *impossible)

    assert done.returncode == 4
    assert "a trial needs 9999 CPUs" in done.stderr
    assert "set hydra.sweeper.resources" in done.stderr

    done = sweeper(folder, "plan", "app.py", "hydra.sweeper.require=clean", "model=fast,slow")

    assert done.returncode == 2
    assert "hydra.sweeper.require=clean, but" in done.stderr
    assert files(folder) == before


def trial(number: int, start: float | None, end: float | None) -> TrialRow:
    return TrialRow(number, "COMPLETE", (0.0,), {}, start, end, None)


def span(number: int, attempt: int, start: float, end: float | None) -> SpanRow:
    return SpanRow(number, attempt, "COMPLETE", "node", (), start, end)


def test_a_trial_took_its_slot_from_asking_to_telling_or_for_its_attempts() -> None:
    trials = [trial(0, 10.0, 14.0), trial(1, 10.0, 500.0), trial(2, None, 4.0)]
    spans = [span(0, 0, 11.0, 13.0), span(1, 0, 11.0, 13.0), span(1, 1, 490.0, 499.0), span(3, 0, 1.0, None)]

    assert took(trials, spans) == {0: 4.0, 1: 11.0}
