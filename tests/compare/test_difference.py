"""What differs, and in which order it is told."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from sweeper.compare.difference import (
    ABSENT,
    Difference,
    config_differences,
    determinism_differences,
    environment_differences,
    flattened,
    ranked,
)


def differing(rows: list[Difference]) -> dict[str, tuple[Any, ...]]:
    return {row.key: row.values for row in rows if not row.is_equal}


def test_configs_are_compared_key_by_key() -> None:
    old = {"lr": 0.1, "model": {"depth": 3, "act": "relu"}, "tags": ["a"], "empty": {}}
    new = {"lr": 0.1, "model": {"depth": 4}, "tags": ["a", "b"], "empty": {}, "extra": None}
    assert differing(config_differences([old, new])) == {
        "model.depth": (3, 4),
        "model.act": ("relu", ABSENT),
        "tags": (["a"], ["a", "b"]),
        "extra": (ABSENT, None),
    }


def test_three_runs() -> None:
    assert differing(config_differences([{"a": 1}, {"a": 1}, {"a": 2}])) == {"a": (1, 1, 2)}


def test_nan_is_itself_and_true_is_not_one() -> None:
    assert differing(config_differences([{"a": math.nan, "b": True}, {"a": math.nan, "b": 1}])) == {"b": (True, 1)}


def test_swept_parameters_come_first() -> None:
    rows = config_differences([{"a": 1, "optimizer": {"lr": 1}}, {"a": 2, "optimizer": {"lr": 2}}], ["+optimizer.lr"])
    assert [row.key for row in rows] == ["optimizer.lr", "a"]


def test_an_environment_is_sorted_into_sections() -> None:
    old = {"packages": {"torch": "2.4.0"}, "gpus": {"driver": "550"}, "python": {"version": "3.11.7"}}
    new = {"packages": {"torch": "2.5.0"}, "gpus": {"driver": "560"}, "python": {"version": "3.11.8"}}
    assert [(row.section, row.key) for row in environment_differences([old, new])] == [
        ("packages", "torch"),
        ("GPU", "gpus.driver"),
        ("machine", "python.version"),
    ]


def test_a_package_of_the_projects_own_is_the_codes_to_tell() -> None:
    """The rebuilt code lies in another folder than what was installed from it."""
    url = "file:///project"
    old = {"origins": {"mine": {"url": url, "code": "the project's own"}, "other": {"code": {"commit": "a"}}}}
    new = {
        "origins": {"mine": {"url": url, "code": {"commit": "c", "branch": "b"}}, "other": {"code": {"commit": "b"}}}
    }
    for documents in ([old, new], [new, old]):
        assert list(differing(environment_differences(documents))) == ["origins.other.code.commit"]
    assert environment_differences([{"origins": "failed: no answer"}, old])


def test_an_empty_mapping_is_no_key_beside_what_another_has_in_it() -> None:
    assert differing(config_differences([{"a": {}}, {"a": {"b": 1}}])) == {"a.b": (ABSENT, 1)}
    assert differing(config_differences([{"a": {}}, {"a": 1}])) == {"a": ({}, 1)}


def test_what_generators_have_drawn_is_no_difference_of_its_own() -> None:
    old, new = (
        {"seeds": {"numpy": 1}, "generators": {"numpy": "a"}},
        {"seeds": {"numpy": 2}, "generators": {"numpy": "b"}},
    )
    assert [row.key for row in determinism_differences([old, new])] == ["seeds.numpy"]


def test_most_telling_first() -> None:
    rows = [
        Difference("machine", "system.kernel", ("6.1", "6.2")),
        Difference("packages", "rich", ("13", "14")),
        Difference("packages", "numpy", ("2.1.0", "2.1.1")),
        Difference("packages", "torch", ("2.4.0", "2.5.0")),
        Difference("packages", "jax", ("0.4", ABSENT)),
        Difference("seed", "seed", (1, 2)),
        Difference("code", "commit", ("a", "b")),
        Difference("config", "note", ("x", "y")),
        Difference("config", "lr", (1, 2), is_param=True),
    ]
    assert [row.key for row in ranked(rows)] == [
        "lr",
        "note",
        "commit",
        "seed",
        "jax",
        "torch",
        "numpy",
        "rich",
        "system.kernel",
    ]


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=3), plain, max_size=4))
@example({"": {}, ".": None})
def test_a_config_is_the_same_as_itself(config: dict[str, Any]) -> None:
    rows = config_differences([config, config])
    assert len(rows) == len(dict(flattened(config)))
    assert [row for row in rows if not row.is_equal and not _holds_nan(row.values[0])] == []


def _holds_nan(value: Any) -> bool:
    return isinstance(value, list) and "nan" in repr(value)
