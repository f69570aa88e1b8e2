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
def test_the_wheel_has_the_config_groups_the_migrations_and_the_plugin(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    assert "sweeper/conf/hydra/sweeper/sampler/tpe.yaml" in names
    assert "sweeper/conf/hydra/sweeper/pruner/median.yaml" in names
    assert any(name.startswith("sweeper/record/migrations/versions/") for name in names)
    assert "hydra_plugins/sweeper_plugin/plugin.py" in names
    assert "hydra_plugins/__init__.py" not in names
    assert not [name for name in names if name.startswith(("tests/", "scripts/", "studies/"))]


@pytest.mark.slow
def test_the_wheel_sweeps_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """The environment has our wheel alone of ours; its dependencies are this one's, which took minutes to install."""
    environment = tmp_path / "env"
    venv.create(environment, with_pip=False)
    (site,) = environment.glob("lib/python*/site-packages")
    zipfile.ZipFile(wheel).extractall(site)
    ours = next(path for path in map(Path, sys.path) if (path / "optuna").is_dir())
    borrowed = tmp_path / "dependencies"
    borrowed.mkdir()
    for path in ours.iterdir():
        if "sweeper" not in path.name and path.suffix != ".pth":
            (borrowed / path.name).symlink_to(path)
    (site / "dependencies.pth").write_text(f"{borrowed}\n")
    script = tmp_path / "elsewhere" / "train.py"
    script.parent.mkdir()
    script.write_bytes((ROOT / "studies" / "quadratic" / "train.py").read_bytes())
    settings = ["hydra.sweeper.n_trials=3", "x=interval(-5, 5)", "hydra.sweeper.storage=sqlite:///s.db"]
    done = subprocess.run(
        [str(environment / "bin" / "python"), str(script), "-m", "hydra/sweeper=sweeper", *settings],
        check=False,
        cwd=script.parent,
        env={key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "SWEEPER"))},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    assert "3 complete" in done.stdout
    assert (script.parent / "s.db").is_file()
