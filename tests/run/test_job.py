"""The job around the task leaves what Hydra's own leaves."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra._internal.callbacks import Callbacks
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from sweeper.config.recipe import Recipe
from sweeper.run import job
from tests.logs import restored
from tests.spec import spec_for


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """The job opens a log file; a process of its own would end with it."""
    with restored():
        yield


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("${hydra.runtime.output_dir}/${hydra.job.name}.log", "{folder}/test.log"),
        ("${hydra.runtime.output_dir}/x-${x}.log", "{folder}/x-3.0.log"),
        ("${hydra.runtime.output_dir}/${hydra.job.num}.log", "{folder}/0.log"),
    ],
)
def test_the_log_lies_where_the_config_says(tmp_path: Path, filename: str, expected: str) -> None:
    spec = spec_for(tmp_path, {"x": 3.0})
    recipe: Recipe = pickle.loads(spec.payload)
    config = pickle.loads(spec.base)
    config.hydra.job_logging.handlers.file.filename = filename

    job.run(lambda _: logging.getLogger("task").warning("said"), recipe, _template(config), tmp_path / "a", Callbacks())

    assert "said" in Path(expected.format(folder=tmp_path / "a")).read_text()


def test_a_folder_that_looks_like_an_interpolation_is_refused_as_hydra_refuses_it(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, {"x": 3.0})
    recipe: Recipe = pickle.loads(spec.payload)

    with pytest.raises(OmegaConfBaseException, match="unknown"):
        job.run(lambda _: None, recipe, job.Template.of(spec.base), tmp_path / "${unknown}", Callbacks())


def _template(config: DictConfig) -> job.Template:
    return job.Template.of(pickle.dumps(config))
