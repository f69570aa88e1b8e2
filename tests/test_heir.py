from __future__ import annotations

import pytest

from sweeper import heir
from sweeper.errors import LaunchError


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    monkeypatch.setattr(heir, "_LOOK_S", 0.0)
    return []


def held_until(tries: list[int], count: int) -> None:
    tries.append(len(tries))
    if len(tries) < count:
        raise LaunchError("the study is being swept")


def test_an_heir_waits_until_the_lease_of_the_dead_is_over(monkeypatch: pytest.MonkeyPatch, tries: list[int]) -> None:
    monkeypatch.setenv(heir.HEIR, "1")

    heir.succeeding(lambda: held_until(tries, 3), lease_s=30.0)

    assert len(tries) == 3


def test_anybody_else_is_refused_at_once(monkeypatch: pytest.MonkeyPatch, tries: list[int]) -> None:
    monkeypatch.delenv(heir.HEIR, raising=False)

    with pytest.raises(LaunchError, match="is being swept"):
        heir.succeeding(lambda: held_until(tries, 3), lease_s=30.0)
    assert len(tries) == 1


def test_an_heir_does_not_wait_for_a_driver_that_lives(monkeypatch: pytest.MonkeyPatch, tries: list[int]) -> None:
    monkeypatch.setenv(heir.HEIR, "1")
    monkeypatch.setattr(heir, "_FURTHER_S", -30.0)

    with pytest.raises(LaunchError, match="is being swept"):
        heir.succeeding(lambda: held_until(tries, 1_000_000), lease_s=30.0)
