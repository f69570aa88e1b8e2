"""The files that Hydra writes of a job, as Hydra writes them, however their text came about."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import MISSING, DictConfig, ListConfig, OmegaConf

from sweeper.config.recipe import Job, Recipe, follow, put
from sweeper.run import hydra_files
from sweeper.run.hydra_files import plain, save
from sweeper.run.job import Template
from tests.logs import restored
from tests.spec import spec_for


def base(values: Mapping[str, Any]) -> bytes:
    config = pickle.loads(spec_for(Path("/nowhere"), {}).base)
    return pickle.dumps(OmegaConf.create({**values, "hydra": config.hydra}))


def foreseen(base: bytes) -> Template:
    with restored():
        return Template.of(base).foreseen()


def written(template: Template, recipe: Recipe, folder: Path) -> dict[str, str]:
    follow(recipe, template.config, template.task_config)
    put(template.config.hydra.runtime, "output_dir", str(folder))
    save(folder, template.texts, template.task_config, template.config, None if recipe.changes else recipe.values)
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def of_omegaconf(template: Template) -> dict[str, str]:
    hydra = template.config.hydra
    return {
        "hydra.yaml": OmegaConf.to_yaml(OmegaConf.create({"hydra": hydra})),
        "config.yaml": OmegaConf.to_yaml(template.task_config),
        "overrides.yaml": OmegaConf.to_yaml(hydra.overrides.task),
    }


def recipe(values: Mapping[str, Any]) -> Recipe:
    overrides = tuple(f"{key}={value}" for key, value in values.items())
    return Recipe(values, job=Job(17, "17", overrides, ",".join(overrides), {}))


@pytest.mark.parametrize("made", [Template.of, foreseen])
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
def test_the_files_are_texts_that_omegaconf_writes(
    made: Callable[[bytes], Template], tmp_path: Path, name: str
) -> None:
    template = made(spec_for(tmp_path, {"x": 3.0, "name": name}).base)
    assert written(template, Recipe(), tmp_path / "a") == of_omegaconf(template)


WORDS = [
    *(
        "",
        "~",
        "null",
        "yes",
        "NO",
        "on",
        "y",
        "N",
        "True",
        "inf",
        "NaN",
        ".inf",
        "0x1f",
        "017",
        "08",
        "1_000",
        "1e3",
        "1.",
    ),
    *("+1", "1:30", "2020-01-01", "=", "<<", "-", "a-", "---", "a#b", "a: b", "?", "!x", "&a", "*a", "|", "@x", "%x"),
    *("adam", "v1.2", "e5", "Größe", "a=b", "a=[1,2]", "/tmp/a b", "/a/b", "2020/01/01", "a\nb", "x" * 200, "x " * 60),
]
CHARACTERS = "aZ09_=/.,+-:# '\"{[&*!|>%@`\n\tß"
SCALARS = st.integers() | st.floats() | st.booleans() | st.sampled_from(WORDS) | st.text(CHARACTERS, max_size=12)


@given(st.data())
def test_whatever_values_trials_have_their_files_are_what_omegaconf_writes(data: st.DataObject) -> None:
    keys = ("lr", "model.name", "model.deep.size", "of.3", "last")
    config = {
        "lr": data.draw(SCALARS),
        "model": {"name": data.draw(SCALARS), "deep": {"size": data.draw(SCALARS), "list": [1, "a"]}},
        "of": {"3": data.draw(SCALARS)},
        "of.3": 1,
        "last": data.draw(SCALARS),
    }
    values = data.draw(st.dictionaries(st.sampled_from(keys), SCALARS.filter(is_plain), max_size=3))
    template = foreseen(base(config))
    with tempfile.TemporaryDirectory() as folder:
        found = written(template, recipe(values), Path(folder))
    assert found == of_omegaconf(template)


def is_plain(value: object) -> bool:
    return not isinstance(value, str) or ("${" not in value and value != "???")


def test_values_as_trials_mostly_have_them_take_no_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template = foreseen(base({"lr": 0.1, "model": {"name": "mlp", "width": 1}, "nesterov": True}))
    monkeypatch.setattr(hydra_files, "_yaml", lambda _: pytest.fail("YAML was asked"))
    values = {"lr": 3.1e-05, "model.name": "cnn", "model.width": 64, "nesterov": False}
    assert written(template, recipe(values), tmp_path / "a") == of_omegaconf(template)


def test_what_a_secret_key_has_is_masked_whichever_way_it_is_written(tmp_path: Path) -> None:
    template = foreseen(base({"lr": 0.1, "db": {"password": "before"}, "api_key": {"of": "before"}}))
    values = {"lr": 0.2, "db.password": "hunter2"}
    found = "".join(written(template, recipe(values), tmp_path / "a").values())
    assert "lr: 0.2" in found
    assert "hunter" not in found
    assert "before" not in found


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
    assert plain(config) == OmegaConf.to_container(config, resolve=False, enum_to_str=True)
