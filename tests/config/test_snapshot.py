"""The copy of the config tree: what it has, and that nothing else is read any more."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.types import RunMode
from omegaconf import OmegaConf

from sweeper.config.compose import Composer
from sweeper.config.snapshot import SnapshotLoader, take_snapshot
from sweeper.errors import ConfigError
from tests.config.app import FILES, App, open_app


@pytest.fixture
def app(tmp_path: Path, hydra_restore_singletons: None) -> App:
    return open_app(tmp_path)


def names(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def with_main(app: App, path: str) -> App:
    """The same app, its configs read from another place."""
    search_path = ConfigSearchPathImpl()
    for element in app.loader.get_search_path().get_path():
        search_path.append(element.provider or "", path if element.provider == "main" else element.path or "")
    loader = SnapshotLoader(search_path)
    return App(loader, loader.load_configuration("config", [], RunMode.MULTIRUN), app.conf)


def test_yaml_files_alone_are_copied(app: App, tmp_path: Path) -> None:
    for name in ("notes.txt", ".hidden.yaml", ".hydra/config.yaml", "__pycache__/x.yaml", "old.yml"):
        (app.conf / name).parent.mkdir(exist_ok=True)
        (app.conf / name).write_text("{}")
    take_snapshot(app.master, tmp_path / "copy")
    (main,) = [path for path in (tmp_path / "copy").iterdir() if (path / "config.yaml").exists()]
    assert names(main) == set(FILES) | {"old.yml"}


def test_the_digest_is_that_of_names_and_contents(app: App, tmp_path: Path) -> None:
    def digest(name: str) -> str:
        return take_snapshot(app.master, tmp_path / name).digest

    first = digest("first")
    assert first == digest("again") and len(first) == 64
    (app.conf / "config.yaml").write_text(FILES["config.yaml"] + "\n")
    second = digest("second")
    (app.conf / "model/mlp.yaml").rename(app.conf / "model/renamed.yaml")
    assert len({first, second, digest("third")}) == 3


def test_the_snapshot_may_lie_inside_the_tree(app: App) -> None:
    take_snapshot(app.master, app.conf / "outputs")
    before = names(app.conf / "outputs")
    take_snapshot(app.master, app.conf / "outputs" / "again")
    assert {name for name in names(app.conf / "outputs") if not name.startswith("again/")} == before


def test_links_are_followed_but_not_for_ever(app: App, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "vit.yaml").write_text("depth: 9")
    (app.conf / "model/vit.yaml").symlink_to(shared / "vit.yaml")
    (app.conf / "loop").symlink_to(app.conf)
    (app.conf / "linked").symlink_to(shared)
    (app.conf / "twice").symlink_to(shared)
    composer = app.composer()
    (shared / "vit.yaml").write_text("depth: 1")
    config = composer.compose(["model=vit", "+linked=vit", "+twice=vit"], 0, "0").config
    assert config.model.depth == config.linked.depth == config.twice.depth == 9


def test_what_searchpath_adds_is_copied_too(tmp_path: Path, hydra_restore_singletons: None) -> None:
    more = tmp_path / "more/model"
    more.mkdir(parents=True)
    (more / "vit.yaml").write_text("depth: 12")
    app = open_app(tmp_path, overrides=[f"hydra.searchpath=[file://{tmp_path}/more]"])
    composer = app.composer()
    (more / "vit.yaml").write_text("depth: 1")
    (more / "late.yaml").write_text("{}")
    assert composer.loader.get_group_options("model") == ["cnn", "mlp", "vit"]
    config = composer.compose(["model=vit"], 0, "0").config
    assert config.model.depth == 12
    assert config.hydra.searchpath == [f"file://{tmp_path}/more"]
    with pytest.raises(ConfigError, match="no config 'late'"):
        composer.compose(["model=late"], 0, "0")


def test_the_recorded_sources_are_the_users_own(app: App, tmp_path: Path) -> None:
    composer = app.composer()
    for _ in range(3):
        config = composer.compose(["lr=1"], 0, "0").config
        sources = OmegaConf.to_container(config.hydra.runtime.config_sources)
        assert sources == OmegaConf.to_container(app.master.hydra.runtime.config_sources)
        assert {"path": str(app.conf), "schema": "file", "provider": "main"} in sources  # type: ignore[operator]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Configs that lie in an importable package."""
    root = tmp_path / "site/snapshot_package"
    (root / "model").mkdir(parents=True)
    (root / "__init__.py").touch()
    (root / "config.yaml").write_text("{defaults: [{model: big}, _self_], lr: 1}")
    (root / "model/big.yaml").write_text("depth: 100")
    monkeypatch.syspath_prepend(str(root.parent))
    yield root
    sys.modules.pop("snapshot_package", None)


def test_configs_in_a_package_are_copied(app: App, package: Path, tmp_path: Path) -> None:
    packaged = with_main(app, "pkg://snapshot_package")
    composer = Composer.snapshot(packaged.master, tmp_path / "copy")
    (package / "model/big.yaml").write_text("depth: 1")
    assert composer.compose([], 0, "0").config.model.depth == 100


def test_structured_configs_alone_need_no_files(app: App, tmp_path: Path) -> None:
    loader = SnapshotLoader(app.loader.get_search_path())
    master = loader.load_configuration(None, ["+x=1"], RunMode.MULTIRUN)
    assert Composer.snapshot(master, tmp_path / "copy").compose(["+y=2"], 0, "0").config.y == 2
