from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_has_what_is_no_python_and_the_plugin(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    assert "sweeper/conf/hydra/sweeper/sampler/tpe.yaml" in names
    assert "sweeper/conf/hydra/sweeper/pruner/median.yaml" in names
    assert "sweeper/conf/hydra/sweeper/ray/cluster.yaml" in names
    assert {"sweeper/document/template/report.html", "sweeper/document/template/report.css"} < names
    assert any(name.startswith("sweeper/record/migrations/versions/") for name in names)
    assert "hydra_plugins/sweeper_plugin/plugin.py" in names
    assert "hydra_plugins/__init__.py" not in names
    assert not [name for name in names if name.startswith(("tests/", "scripts/", "studies/"))]


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the wheel, what it declares to need, and nothing else."""
    environment = tmp_path_factory.mktemp("env")
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    command = [str(python), "-m", "pip", "install", "--quiet", "--no-compile", *constraints, str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    return python


def sweep(python: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Three trials of the quadratic study, copied into `folder`, where nothing of ours lies around it."""
    script = folder / "train.py"
    script.write_bytes((ROOT / "studies" / "quadratic" / "train.py").read_bytes())
    settings = ["hydra.sweeper.n_trials=3", "x=interval(-5, 5)", "hydra.sweeper.storage=sqlite:///s.db"]
    return subprocess.run(
        [str(python), str(script), "-m", "hydra/sweeper=sweeper", *settings, *arguments],
        check=False,
        cwd=folder,
        env={key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "SWEEPER"))},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.slow
@pytest.mark.timeout(900)  # most of it is pip's
def test_the_wheel_sweeps_in_an_empty_environment(python: Path, tmp_path: Path) -> None:
    done = sweep(python, tmp_path)

    assert done.returncode == 0, done.stderr
    assert "3 complete" in done.stdout
    assert (tmp_path / "s.db").is_file()

    lacking = sweep(python, tmp_path, "hydra/sweeper/sampler=gp")

    assert lacking.returncode == 2
    assert "sampler=gp needs torch, which is not installed; type: pip install 'sweeper[gp]'" in lacking.stderr
    assert "Traceback" not in lacking.stderr
