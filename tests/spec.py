"""Trial specs for tests, composed by a real Hydra."""

from __future__ import annotations

import functools
import pickle
import uuid
from collections.abc import Mapping
from pathlib import Path

from hydra import compose, initialize
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, open_dict

from sweeper.config.recipe import Recipe, change
from sweeper.trial import TrialSpec


@functools.cache
def _composed() -> bytes:
    with initialize(version_base=None):
        return pickle.dumps(compose(return_hydra_config=True))


def spec_for(folder: Path, values: Mapping[str, object], number: int = 0, attempt: int = 0) -> TrialSpec:
    """The spec of a trial with these config values, to be run below `folder`."""
    overrides = [f"+{key}={value}" for key, value in values.items()]
    config: DictConfig = pickle.loads(_composed())
    change(config, OverridesParser.create().parse_overrides(overrides))
    with open_dict(config.hydra):
        config.hydra.sweep.dir = str(folder)
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
        base=pickle.dumps(config),
        payload=pickle.dumps(Recipe()),
        folder=str(folder / str(number)),
        seed=0,
    )
