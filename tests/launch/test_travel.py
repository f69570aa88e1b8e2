from __future__ import annotations

from pathlib import Path

import pytest
from hydra._internal.callbacks import Callbacks

from sweeper.errors import LaunchError
from sweeper.launch.landmark import Landmark, planted
from sweeper.launch.travel import PACKED, Travel
from sweeper.run.app import App
from tests.run import apps
from tests.spec import spec_for


def unseen(folder: Path) -> Landmark:
    return Landmark(str(folder), str(folder / "nowhere"), "token")


@pytest.fixture
def packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process has come with the code, as a worker of Ray does."""
    (tmp_path / "worker" / PACKED / "lib").mkdir(parents=True)
    (tmp_path / "worker" / PACKED / "lib/nets.py").write_text("layers = 3\n")
    monkeypatch.chdir(tmp_path / "worker")


def travel(
    tmp_path: Path, code: Landmark, runs: Landmark, store: Landmark | None = None, artifacts: str = ""
) -> Travel:
    return Travel(code, runs, store, artifacts, sweep="s1", scratch=str(tmp_path / "scratch"))


def test_where_everything_is_seen_it_is_used_in_place_and_nothing_is_written(tmp_path: Path) -> None:
    mark = planted(tmp_path / "project")
    spec = spec_for(tmp_path / "project", {"x": 1})

    ground = travel(tmp_path, mark, mark, mark, str(tmp_path / "project")).arrive()

    app = App.of(apps.returns, Callbacks())
    assert ground.app(app) == app
    assert ground.spec(spec) == spec
    assert (ground.lacks_code, ground.apart, ground.store) == (False, None, None)
    assert not (tmp_path / "scratch").exists()


def test_code_that_came_along_is_laid_out_once_and_run_folders_lie_below_it(tmp_path: Path, packed: None) -> None:
    project, there = tmp_path / "project", tmp_path / "scratch/s1"
    on_the_way = travel(
        tmp_path, unseen(project), unseen(project / "multirun"), unseen(tmp_path / "kept"), str(tmp_path / "kept")
    )

    ground = on_the_way.arrive()
    (there / "code/lib/nets.py").write_text("as a trial left it")
    assert on_the_way.arrive() == ground

    assert (there / "code/lib/nets.py").read_text() == "as a trial left it"
    assert [path.name for path in there.iterdir()] == ["code"]  # nothing is left of the second one
    assert not ground.lacks_code
    assert ground.here(str(project / "multirun/7")) == str(there / "code/multirun/7")
    assert ground.here("/data/runs/7") == str(there / "elsewhere/data/runs/7")
    assert ground.store == str(there / "artifacts")
    assert (there / "..").resolve().stat().st_mode & 0o077 == 0


def test_the_app_finds_its_modules_its_folder_and_its_script_in_the_code_that_came(
    tmp_path: Path, packed: None
) -> None:
    root = str(Path(apps.__file__).parents[2])
    ground = travel(tmp_path, unseen(Path(root)), unseen(Path(root) / "multirun")).arrive()
    given = App.of(apps.returns, Callbacks())

    app = ground.app(given)

    code = str(tmp_path / "scratch/s1/code")
    for before, after in zip(given.preparation["sys_path"], app.preparation["sys_path"], strict=True):
        assert after == (before.replace(root, code, 1) if before.startswith(root) else before)
    assert app.preparation["dir"] == given.preparation["dir"].replace(root, code, 1)


def test_code_that_did_not_come_along_is_missed(tmp_path: Path) -> None:
    ground = travel(tmp_path, unseen(tmp_path / "project"), planted(tmp_path / "runs")).arrive()

    assert ground.lacks_code
    assert ground.apart is None


def test_a_store_that_is_a_url_is_tried_and_what_it_does_not_take_waits_on_the_node(tmp_path: Path) -> None:
    mark = planted(tmp_path / "project")
    (tmp_path / "file").write_text("")

    assert travel(tmp_path, mark, mark, None, f"file://{tmp_path}/there").arrive().store is None
    out_of_reach = travel(tmp_path, mark, mark, None, f"file://{tmp_path}/file/there").arrive()
    assert out_of_reach.store == str(tmp_path / "scratch/s1/artifacts")


def test_a_folder_that_others_may_have_put_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    (tmp_path / "scratch").symlink_to(tmp_path / "others")

    with pytest.raises(LaunchError, match=r"another user's.*hydra\.sweeper\.ray\.scratch"):
        travel(tmp_path, unseen(tmp_path / "project"), planted(tmp_path / "runs")).arrive()
