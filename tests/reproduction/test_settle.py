"""The config of a repeated run is the recorded one, in the types of the rebuilt code."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from omegaconf import OmegaConf

from sweeper.config.resolve import resolve
from sweeper.reproduction.settle import settle


class Mode(Enum):
    FAST = 1
    SLOW = 2


@dataclass
class Data:
    path: str = "/now/data"
    token: str = "another"
    sizes: list[int] = field(default_factory=lambda: [1, 2])


@dataclass
class App:
    mode: Mode = Mode.FAST
    lr: float = 0.1
    data: Data = field(default_factory=Data)


def test_what_the_code_gives_otherwise_is_set_to_what_is_on_record() -> None:
    config = OmegaConf.structured(App)
    recorded = {"mode": "SLOW", "lr": 0.5, "data": {"path": "/then/data", "token": "***", "sizes": [1, 2]}}
    told = settle(config, resolve(config), recorded, {"/then": "/now"})
    assert (config.mode, config.lr) == (Mode.SLOW, 0.5)
    assert (config.data.path, config.data.token) == ("/now/data", "another")
    assert [line.partition(":")[0] for line in told] == ["mode", "lr", "data.token"]
    assert told[1] == "lr: 0.1 by the rebuilt code, 0.5 on record"
    assert told[2] == "data.token: a secret, taken from the present environment"


def test_keys_that_only_the_record_has_are_added_and_lists_replaced() -> None:
    config = OmegaConf.create({"a": [1, 2], "b": {"c.d": 1}})
    told = settle(config, resolve(config), {"a": [3], "b": {"c.d": 2}, "new": {"x": 1}}, {})
    assert config == {"a": [3], "b": {"c.d": 2}, "new": {"x": 1}}
    assert len(told) == 3


def test_nothing_is_said_where_nothing_differs() -> None:
    config = OmegaConf.create({"a": float("nan"), "b": "${a}"})
    assert settle(config, resolve(config), resolve(config), {}) == []
