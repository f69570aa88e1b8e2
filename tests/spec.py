"""Trial specs for tests, composed by a real Hydra."""

from __future__ import annotations

import pickle
import uuid
from collections.abc import Mapping
from pathlib import Path

from hydra import compose, initialize
from omegaconf import open_dict

from sweeper.config.recipe import Recipe
from sweeper.trial import TrialSpec


def spec_for(folder: Path, values: Mapping[str, object], number: int = 0, attempt: int = 0) -> TrialSpec:
    """The spec of a trial with these config values, to be run below `folder`."""
    overrides = [f"+{key}={value}" for key, value in values.items()]
    with initialize(version_base=None):
        config = compose(overrides=[*overrides, f"hydra.sweep.dir={folder}"], return_hydra_config=True)
    with open_dict(config.hydra):
        config.hydra.sweep.subdir = str(number)
        config.hydra.job.num = number
        config.hydra.job.id = str(number)
        config.hydra.job.name = "test"
        config.hydra.overrides.task = [text.removeprefix("+") for text in overrides]
    return TrialSpec(
        study="test",
        number=number,
        run=uuid.uuid4().hex,
        attempt=attempt,
        params={},
        overrides=tuple(config.hydra.overrides.task),
        config=dict(values),
        payload=pickle.dumps(Recipe(pickle.dumps(config))),
        folder=str(folder / str(number)),
        seed=0,
    )
