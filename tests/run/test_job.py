"""The job around the task leaves what Hydra's own leaves."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.callbacks import Callbacks
from omegaconf import MISSING, DictConfig, ListConfig, OmegaConf
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
    "name",
    [
        "'a: b'",
        "'---'",
        r"'--- |\n---\n...\n\n'",
        "'Größe'",
        "'1'",
        "''",
        "null",
        "[]",
        "{}",
        "'a\n    id: 7\n\n  job: b'",
    ],
)
def test_the_files_are_texts_that_omegaconf_writes(tmp_path: Path, name: str) -> None:
    spec = spec_for(tmp_path, {"x": 3.0, "name": name})
    recipe: Recipe = pickle.loads(spec.payload)
    template = job.Template.of(spec.base)
    given: list[DictConfig] = []

    job.run(given.append, recipe, template, Path(spec.folder), Callbacks())

    folder = Path(spec.folder) / ".hydra"
    hydra = OmegaConf.create({"hydra": template.config.hydra})
    assert (folder / "hydra.yaml").read_text() == OmegaConf.to_yaml(hydra)
    assert (folder / "config.yaml").read_text() == OmegaConf.to_yaml(given[0])
    assert (folder / "overrides.yaml").read_text() == OmegaConf.to_yaml(template.config.hydra.overrides.task)


class Kind(Enum):
    FAST = 1


@dataclass
class Declared:
    kind: Kind = Kind.FAST
    sizes: list[int] = field(default_factory=lambda: [1, 2])
    missing: int = MISSING
    inner: dict[Kind, Any] | None = None
    place: Path = Path("a/b")


@pytest.mark.parametrize(
    "content",
    [
        {"a": {"b": [1, 2.5, None, True, "x", {"c": "${a}"}], "d": "???", "e": None}, 3: b"bytes"},
        {
            "inner": DictConfig("${other}"),
            "list": ListConfig("${others}"),
            "none": DictConfig(None),
            "miss": DictConfig("???"),
        },
        {
            "declared": Declared(),
            "again": Declared(inner={Kind.FAST: {"x": Kind.FAST}}),
            "kinds": {Kind.FAST: [Kind.FAST]},
        },
        {},
    ],
)
def test_plain_is_what_omegaconf_has_for_containers(content: dict[Any, Any]) -> None:
    config = OmegaConf.create(content)
    assert job.plain(config) == OmegaConf.to_container(config, resolve=False, enum_to_str=True)


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
