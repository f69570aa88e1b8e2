"""What is installed into the environment of a repeated run, and a run that is repeated in one."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.reproduction.venv import requirements

# What sweeper takes to run an app inline: an environment of these is made in a second or two.
FEW = """
alembic annotated-doc antlr4-python3-runtime click cloudpickle colorlog fsspec hydra-core lark mako markdown-it-py
markupsafe mdurl numpy nvidia-ml-py omegaconf optuna packaging psutil pygments pyyaml rich shellingham sqlalchemy
threadpoolctl tqdm typer typing-extensions
"""
APP = """
import hydra, random, sweeper

@hydra.main(version_base=None, config_path=None)
def main(cfg):
    sweeper.log({"loss": random.random()}, step=0)
    return cfg.lr

if __name__ == "__main__":
    main()
"""


def test_exact_versions_commits_and_this_sweeper() -> None:
    document = {
        "packages": {"numpy": "2.1.0", "mine": "0.1", "fork": "1.0", "local": "3.0", "pip": "24.0", "sweeper": "0.0.1"},
        "origins": {
            "mine": {"url": "file:///gone", "editable": True, "code": "the project's own"},
            "fork": {"url": "https://host/fork", "vcs": "git", "commit": "a" * 40},
            "local": {"url": "file:///elsewhere", "editable": True, "code": {"commit": "b" * 40}},
        },
    }
    assert list(requirements(document, "sweeper @ file:///here")) == [
        "numpy==2.1.0",
        f"fork @ git+https://host/fork@{'a' * 40}",
        "local==3.0",
        "pip==24.0",
        "sweeper @ file:///here",
    ]


def test_origins_that_could_not_be_captured_hide_no_package() -> None:
    document = {"packages": {"numpy": "2.1.0"}, "origins": "failed: no answer within 10 s"}
    assert list(requirements(document, "")) == ["numpy==2.1.0"]


@pytest.mark.slow
def test_a_run_is_repeated_in_an_environment_built_from_the_record(tmp_path: Path) -> None:
    """The run's own environment is gone by then; the one that has it repeated has many more packages."""
    (tmp_path / "train.py").write_text(APP)
    wanted = [f"{name}=={importlib.metadata.version(name)}" for name in FEW.split()]
    uv, python = str(Path(sys.executable).parent / "uv"), str(tmp_path / "own" / "bin" / "python")
    ours = Path(__file__).parents[2]
    place = {"SWEEPER_STORAGE": f"sqlite:///{tmp_path}/sweeper.db", "SWEEPER_ARTIFACTS": f"{tmp_path}/artifacts"}

    def run(*command: str) -> str:
        return subprocess.run(
            command, cwd=tmp_path, env=os.environ | place, check=True, text=True, stdout=subprocess.PIPE, timeout=200
        ).stdout

    run(uv, "venv", "--quiet", str(tmp_path / "own"))
    run(uv, "pip", "install", "--quiet", "--no-deps", "--python", python, *wanted, "--editable", str(ours))
    sampler = ("hydra/sweeper/sampler=random", "hydra.sweeper.launcher=inline", "hydra.sweeper.n_trials=1")
    run(python, "train.py", "-m", "hydra/sweeper=sweeper", *sampler, "+lr=interval(0,1)")
    (tmp_path / "own").rename(tmp_path / "gone")

    said = json.loads(run(sys.executable, "-m", "sweeper.cli", "reproduce", "train/0", "--venv", "--json"))

    assert (said["verdict"], said["config"]) == ("identical", [])
    # What this checkout is in the middle of is no matter of the environment that was built
    assert [line for line in said["environment"] if not line.startswith("origins.sweeper.code.")] == []
