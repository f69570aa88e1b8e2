"""A clone: what unpickling would make of the config, and nothing in it is the original's."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Union

from omegaconf import MISSING, DictConfig, OmegaConf, open_dict

from sweeper.config.clone import clone
from sweeper.config.compose import is_identical


class Color(Enum):
    RED = 1


@dataclass
class Model:
    depth: int = 3
    width: Union[int, str] = 64  # noqa: UP007 (OmegaConf wants it so)
    color: Color = Color.RED
    where: Path = Path("data")
    missing: str = MISSING
    none: int | None = None
    sizes: list[int] = field(default_factory=lambda: [1, 2])


def config() -> DictConfig:
    plain = {"lr": 0.1, "twice": "${lr}", "raw": b"x", "nested": {"names": ["a", {"b": None}], 3: True}, "gone": None}
    made: Any = OmegaConf.create({**plain, "model": OmegaConf.structured(Model)})
    OmegaConf.set_struct(made, True)
    OmegaConf.set_readonly(made.nested, True)
    with open_dict(made):
        made.inner = OmegaConf.create("${nested}")
    OmegaConf.set_cache(made, {"now": {"%f": 7}})
    return made  # type: ignore[no-any-return]


def objects(node: Any) -> Iterator[object]:
    """Everything in a config that somebody could change."""
    yield from (node, node._metadata, node._metadata.flags, node._metadata.resolver_cache)
    content = node.__dict__.get("_content")
    inner = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    if isinstance(content, dict | list):
        yield content
    for each in inner:
        yield from objects(each)


def test_it_is_what_unpickling_makes() -> None:
    original = config()

    assert is_identical(clone(original), pickle.loads(pickle.dumps(original)))


def test_it_shares_nothing_that_can_change() -> None:
    original = config()

    ours, theirs = list(objects(original)), list(objects(clone(original)))

    assert len(ours) == len(theirs) > 40
    assert {id(each) for each in ours if each is not None}.isdisjoint(map(id, theirs))


def test_a_value_that_can_change_is_copied() -> None:
    held = OmegaConf.create({"table": {1, 2}}, flags={"allow_objects": True})

    copied = clone(held)
    copied.table.add(3)

    assert (held.table, copied.table) == ({1, 2}, {1, 2, 3})


def test_a_part_becomes_a_whole() -> None:
    part = clone(config().nested)

    assert part._get_parent() is None
    assert list(part.names) == ["a", {"b": None}]
