"""A Hydra app on disk, opened as `@hydra.main -m` would: its loader and its composed master config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime, setup_globals
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from sweeper.config.compose import Composer

FILES = {
    "config.yaml": """
        defaults: [{model: mlp}, {opt@optimizer: sgd}, _self_]
        lr: 0.1
        name: plain
        nothing: null
        nested: {a: 1, b: {c: two}}
        layers: [1, 2, 3]
        twice: ${nested.a}${nested.a}
        missing: ???
    """,
    "model/mlp.yaml": "{depth: 2, width: 8}",
    "model/cnn.yaml": "{depth: 2, kernel: 3}",
    "opt/sgd.yaml": "{kind: sgd, lr: 0.1}",
    "opt/adam.yaml": "{kind: adam, lr: 0.001}",
}


@dataclass(frozen=True)
class App:
    loader: ConfigLoader
    master: DictConfig
    conf: Path

    def composer(self, folder: str = "snapshot") -> Composer:
        return Composer.snapshot(self.master, self.conf.parent / folder)

    def as_hydra_composes(self, overrides: Sequence[str], number: int, job_id: str) -> DictConfig:
        config = self.loader.load_sweep_config(self.master, list(overrides))
        with open_dict(config):
            config.hydra.job.id = job_id
            config.hydra.job.num = number
            config.hydra.runtime.output_dir = f"{config.hydra.sweep.dir}/{number}"
        return config


@contextmanager
def singletons_restored() -> Iterator[None]:
    """As Hydra's fixture `hydra_restore_singletons`, for fixtures that outlive one test."""
    Plugins.instance()  # what it registers once per process is part of the state to come back to
    state = deepcopy(Singleton.get_state())
    yield
    Singleton.set_state(state)


def open_app(folder: Path, files: Mapping[str, str] = FILES, overrides: Sequence[str] = ()) -> App:
    """Write `files` to folder/conf, compose `config.yaml`. Only where Hydra's singletons are restored afterwards."""
    conf = folder / "conf"
    for name, text in files.items():
        (conf / name).parent.mkdir(parents=True, exist_ok=True)
        (conf / name).write_text(dedent(text), encoding="utf-8")
    setup_globals()
    JobRuntime.instance().set("name", "app")
    loader = ConfigLoaderImpl(create_config_search_path(f"file://{conf}"))
    given = [f"hydra.sweep.dir={folder}/out", "hydra.mode=MULTIRUN", *overrides]
    return App(loader, loader.load_configuration("config", given, RunMode.MULTIRUN), conf)
