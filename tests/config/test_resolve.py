"""The resolved config: plain, complete, and clear about what leads nowhere."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import setup_globals
from omegaconf import DictConfig, OmegaConf

from sweeper.config.resolve import resolve
from sweeper.errors import ConfigError
from tests.config.app import open_app


class Colour(Enum):
    red = 1


def config(**content: Any) -> DictConfig:
    return OmegaConf.create(content | {"hydra": {"job": {"num": 7, "name": "${name}"}}})


def test_everything_becomes_plain() -> None:
    resolved = resolve(
        config(
            colour=Colour.red,
            folder=Path("/data"),
            blob=b"\x01\xff",
            far=float("inf"),
            odd=float("nan"),
            nothing=None,
            tree={"a": [1, 2.5, {"b": True}], 3: "three"},
        )
    )
    assert resolved == {
        "colour": "red",
        "folder": "/data",
        "blob": "01ff",
        "far": "inf",
        "odd": "nan",
        "nothing": None,
        "tree": {"a": [1, 2.5, {"b": True}], "3": "three"},
    }
    assert json.loads(json.dumps(resolved, allow_nan=False)) == resolved


def test_interpolations_are_followed() -> None:
    content = config(name="x", a={"b": 1, "up": "${name}", "near": "${.b}"}, copy="${a}", text="n=${a.b}")
    assert resolve(content) == {
        "name": "x",
        "a": {"b": 1, "up": "x", "near": 1},
        "copy": {"b": 1, "up": "x", "near": 1},
        "text": "n=1",
    }


def test_what_is_missing_stays_missing() -> None:
    assert resolve(config(a="???", b="${a}", c=["???"])) == {"a": "???", "b": "???", "c": ["???"]}


def test_the_hydra_node_is_readable_meanwhile_and_not_afterwards(hydra_restore_singletons: None) -> None:
    setup_globals()
    content = config(name="x", number="${hydra:job.num}", job="${hydra:job.name}", direct="${hydra.job.num}")
    before = HydraConfig.instance().cfg
    assert resolve(content) == {"name": "x", "number": 7, "job": "x", "direct": 7}
    assert HydraConfig.instance().cfg is before


def test_a_composed_config_resolves(tmp_path: Path, hydra_restore_singletons: None) -> None:
    composed = open_app(tmp_path).composer().compose(["+number=${hydra:job.num}", "missing=1"], 4, "4").config
    before = OmegaConf.to_yaml(composed)
    resolved = resolve(composed)
    assert resolved["number"] == 4
    assert resolved["twice"] == "11"
    assert "hydra" not in resolved
    assert OmegaConf.to_yaml(composed) == before
    assert not OmegaConf.is_readonly(composed.hydra)


def test_every_key_that_leads_nowhere_is_named() -> None:
    content = config(a={"b": ["${nope}"]}, c="${unheard:1}", d="${oc.env:SWEEPER_NO_SUCH}", e=1, f="${f}")
    before = HydraConfig.instance().cfg
    with pytest.raises(ConfigError) as caught:
        resolve(content)
    lines = str(caught.value).splitlines()
    assert [line.split(" cannot")[0] for line in lines] == [
        "a.b[0]: ${nope}",
        "c: ${unheard:1}",
        "d: ${oc.env:SWEEPER_NO_SUCH}",
        "f: ${f}",
    ]
    assert "'nope' not found" in lines[0] and "SWEEPER_NO_SUCH" in lines[2]
    assert HydraConfig.instance().cfg is before


def test_a_config_that_contains_itself_is_told() -> None:
    with pytest.raises(ConfigError, match=r"^a\.b\.d: \${a} cannot be resolved: it leads to a node around itself\n"):
        resolve(config(a={"b": "${c}"}, c={"d": "${a}"}))


def test_an_object_is_named_by_its_type() -> None:
    content = OmegaConf.create({"thing": Ellipsis, "hydra": {}}, flags={"allow_objects": True})
    assert resolve(content) == {"thing": "builtins.ellipsis"}
