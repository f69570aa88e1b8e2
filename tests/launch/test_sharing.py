"""Two drivers on one real cluster, whose GPUs are a count that Ray keeps."""

from __future__ import annotations

from typing import Any

import pytest

from tests.launch.scene import play

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    return play("tests.launch.sharing")


def test_a_higher_priority_preempts_and_the_trials_go_on_from_their_checkpoints(seen: dict[str, Any]) -> None:
    found = seen["priority"]

    assert [status for status, _ in found["statuses"]] == [0, 0], found["statuses"]
    assert found["high"] == [[0, None]] * 2
    preempted = [number for number, attempt, failure in found["low"] if failure == "preempted"]
    assert 1 <= len(preempted) <= 2
    ended = [(number, attempt) for number, attempt, failure in found["low"] if failure is None]
    assert ended == [(number, 1 if number in preempted else 0) for number in range(3)]
    assert sorted(found["begun_at"]) == [["0"]] * (3 - len(preempted)) + [["0", "4"]] * len(preempted)


def test_the_queue_shows_who_has_what(seen: dict[str, Any]) -> None:
    (low,) = [row for row in seen["priority"]["queue"] if row["study"] == "low"]

    assert (low["resource"], low["slot"], low["weight"], low["priority"]) == ("GPU", 1, 1, 0)
    assert low["used_s"] > 0


def test_two_drivers_share_by_weight_and_neither_starves(seen: dict[str, Any]) -> None:
    found = seen["weights"]

    assert [status for status, _ in found["statuses"]] == [0, 0], found["statuses"]
    assert found["trials"] == [32, 16]
    heavy, light = found["held"]
    assert light > 0
    assert heavy > light
