"""The job around the task leaves what Hydra's own leaves."""

from __future__ import annotations

import pickle
from pathlib import Path

from hydra._internal.callbacks import Callbacks
from omegaconf import DictConfig, OmegaConf

from sweeper.config.recipe import Recipe
from sweeper.run import job
from tests.spec import spec_for


def test_the_files_are_texts_that_omegaconf_writes(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, {"x": 3.0, "name": "'a: b'"})
    recipe: Recipe = pickle.loads(spec.payload)
    template = job.Template.of(recipe.base)
    given: list[DictConfig] = []

    job.run(given.append, recipe, template, Path(spec.folder), Callbacks())

    folder = Path(spec.folder) / ".hydra"
    hydra = OmegaConf.create({"hydra": template.config.hydra})
    assert (folder / "hydra.yaml").read_text() == OmegaConf.to_yaml(hydra)
    assert (folder / "config.yaml").read_text() == OmegaConf.to_yaml(given[0])
    assert (folder / "overrides.yaml").read_text() == OmegaConf.to_yaml(template.config.hydra.overrides.task)
