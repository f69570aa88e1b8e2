"""A recorded run, run again from the database and the artifact store alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.history import History
from tests.conftest import DIGITS

pytestmark = pytest.mark.slow

Words = list[str]
TRAIN = """
import random, hydra, sweeper, {imports}

@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg):
    for step in range(4):
        sweeper.log({{"loss": {loss}}}, step=step)
        sweeper.report(cfg.lr + step, step=step)
        if sweeper.should_prune():
            import optuna
            raise optuna.TrialPruned
    return {value}

if __name__ == "__main__":
    main()
"""


class Place:
    """A checkout that can be deleted, a database and a store that stay."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkout = folder / "checkout"
        self.checkout.mkdir()
        self.url = f"sqlite:///{folder}/sweeper.db"
        self.environment = os.environ | {"SWEEPER_STORAGE": self.url, "SWEEPER_ARTIFACTS": f"{folder}/artifacts"}

    def run(self, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=cwd or self.checkout,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        print(done.stdout, done.stderr)
        return done

    def app(self, *, imports: str = "os", loss: str = "random.random()", value: str = "cfg.lr") -> None:
        (self.checkout / "conf").mkdir(exist_ok=True)
        (self.checkout / "conf" / "config.yaml").write_text("lr: 0.1\nseed: 0\n")
        (self.checkout / "train.py").write_text(TRAIN.format(imports=imports, loss=loss, value=value))

    def commit(self) -> None:
        self.run("git", "init", "-q", ".")
        self.run("git", "add", "-A")
        self.run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first")

    def sweep(self, *arguments: str, script: str = "train.py", launcher: str = "inline") -> None:
        flags = ["-m", "hydra/sweeper=sweeper", f"hydra.sweeper.launcher={launcher}", "hydra.sweeper.n_trials=2"]
        done = self.run(sys.executable, script, *flags, *arguments)
        assert done.returncode == 0, done.stderr

    def reproduce(self, name: str, *options: str) -> subprocess.CompletedProcess[str]:
        other = self.folder / "other"
        other.mkdir(exist_ok=True)
        return self.run(sys.executable, "-m", "sweeper.cli", "reproduce", name, *options, cwd=other)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_digits_from_a_dirty_checkout_that_is_gone(place: Place) -> None:
    shutil.copytree(DIGITS.parent, place.checkout / "digits", ignore=shutil.ignore_patterns("__pycache__", "outputs"))
    place.commit()
    script = place.checkout / "digits" / "train.py"
    (script.parent / "scaling.py").write_text("def scaled(images):\n    return images / 16.0\n")
    text = script.read_text().replace("import sweeper\n", "import sweeper\nfrom scaling import scaled\n", 1)
    script.write_text(text.replace("images / 16.0", "scaled(images)"))
    place.sweep("epochs=3", "hydra.sweeper.n_jobs=2", script="digits/train.py", launcher="ray")
    history = History(place.url)
    best = history.best("digits", 1)[0]
    shutil.rmtree(place.checkout)

    done = place.reproduce(f"digits/{best.number}", "--json")

    assert done.returncode == 0
    said = json.loads(done.stdout)
    assert (said["verdict"], said["environment"], said["config"]) == ("identical", [], [])
    (run,) = history.runs("reproduced/digits", 0)
    (old,) = history.runs("digits", best.number)
    curve, again = (history.curves(one.run)["val/accuracy"] for one in (old, run))
    assert (curve.steps, curve.values) == (again.steps, again.values) and len(curve.steps) == 3
    assert (run.reproduces, run.code, run.seed, run.drift) == (old.run, old.code, old.seed, ())
    assert run.determinism["generators"] == old.determinism["generators"]
    assert run.determinism_at_end["generators"] == old.determinism_at_end["generators"]
    assert run.verdict is not None and run.verdict["verdict"] == "identical"


def test_a_bundle_runs_again_where_there_is_neither_database_nor_store(place: Place) -> None:
    """Of code outside any repository, with a config group of it."""
    place.app()
    (place.checkout / "conf" / "model").mkdir()
    (place.checkout / "conf" / "model" / "big.yaml").write_text("layers: 3\n")
    place.sweep("lr=interval(0,1)", "+model=big")
    made = place.run(sys.executable, "-m", "sweeper.cli", "bundle", "train/1", str(place.folder / "out.zip"))
    assert made.returncode == 0
    for gone in ("checkout", "artifacts"):
        shutil.rmtree(place.folder / gone)
    (place.folder / "sweeper.db").unlink()
    place.environment = {key: value for key, value in place.environment.items() if not key.startswith("SWEEPER_")}
    done = place.reproduce(str(place.folder / "out.zip"))
    assert done.returncode == 0
    assert "train/1 run again as reproduced/train/0: identical" in done.stdout
    history = History(f"sqlite:///{place.folder}/other/reproduced/out/bundle/record.db")
    (run,), (old,) = history.runs("reproduced/train", 0), history.runs("train", 1)
    assert (run.reproduces, run.seed, run.config["model"]) == (old.run, old.seed, {"layers": 3})
    assert history.curves(run.run)["loss"].values == history.curves(old.run)["loss"].values


def test_the_next_launch_has_the_code_that_it_had_before_a_reproduction(place: Place) -> None:
    place.app()
    place.commit()
    place.sweep("lr=interval(0,1)", "hydra.sweeper.require=clean")
    assert place.run(sys.executable, "-m", "sweeper.cli", "reproduce", "train/0").returncode == 0
    place.sweep("lr=interval(0,1)", "hydra.sweeper.study_name=next", "hydra.sweeper.require=clean")
    history = History(place.url)
    assert len({run.code for study in ("train", "next") for run in history.runs(study, 0)}) == 1


def test_numbers_that_no_seed_decides_diverge(place: Place) -> None:
    place.app(imports="os", loss="int.from_bytes(os.urandom(4), 'big') if step == 2 else step")
    place.sweep("lr=interval(0,1)")
    done = place.reproduce("train/0")
    assert done.returncode == 6
    assert "train/0 run again as reproduced/train/0: diverged at step 2" in done.stdout


def test_a_run_that_cannot_run_again_is_not_comparable(place: Place) -> None:
    place.app(loss="1 / (not os.path.exists(cfg.mark))", imports="os")
    (place.checkout / "conf" / "config.yaml").write_text(f"lr: 0.1\nmark: {place.folder}/mark\n")
    place.sweep("lr=interval(0,1)")
    (place.folder / "mark").touch()
    done = place.reproduce("train/0")
    assert done.returncode == 7
    assert "not comparable" in done.stdout and "the recorded run is COMPLETE, its repetition FAIL" in done.stdout


def test_a_pruned_run_is_pruned_at_the_same_step(place: Place) -> None:
    place.app(loss="step")
    pruner = ["hydra/sweeper/pruner=threshold", "hydra.sweeper.pruner.upper=1.5"]
    place.sweep("lr=interval(0,0.4)", *pruner)
    done = place.reproduce("train/0", "--json")
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (0, "identical")
    history = History(place.url)
    assert [run.state for run in (*history.runs("train", 0), *history.runs("reproduced/train", 0))] == ["PRUNED"] * 2


def test_what_cannot_be_rebuilt_is_said_in_one_sentence(place: Place) -> None:
    place.app()
    place.sweep("lr=interval(0,1)")
    shutil.rmtree(place.folder / "artifacts")
    done = place.reproduce("train/0")
    assert done.returncode == 2
    assert (
        done.stderr.startswith("sweeper: the code cannot be rebuilt: the store ") and len(done.stderr.splitlines()) == 1
    )
    assert place.reproduce("train/7").returncode == 2
