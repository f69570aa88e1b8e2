"""What becomes of trials when nodes die and join, slots are paused, drivers are killed: on real clusters."""

from __future__ import annotations

import pytest

from tests.launch.scene import play

pytestmark = pytest.mark.slow


def test_a_trial_of_a_dead_node_is_lost_and_its_slot_comes_back_with_another_node() -> None:
    seen = play("tests.launch.nodes", "a_node_dies")

    assert seen["lost"]["failure"] == "lost"  # why, it says by which of the node's processes was seen to die first
    assert seen["other"]["state"] == "COMPLETE"
    assert seen["was_waiting"]
    assert seen["again"]["state"] == "COMPLETE"


def test_a_node_that_joins_brings_its_slots() -> None:
    seen = play("tests.launch.nodes", "a_node_joins")

    assert seen["was_alone"]
    assert (seen["first"]["state"], seen["second"]["state"]) == ("COMPLETE", "COMPLETE")


def test_a_slot_that_was_paused_beyond_its_lease_writes_nothing_stale() -> None:
    seen = play("tests.launch.nodes", "a_slot_is_paused_for_long")

    assert (seen["lost"]["failure"], seen["new"]["state"]) == ("lost", "COMPLETE")
    assert seen["lost"]["error"] == "the slot that ran the trial has not answered for 8 s"
    assert not seen["is_open"]
    assert seen["stale_points"] == 0
    assert seen["stale_steps"] <= 1  # a file of its own that it was about to write when it was stopped


def test_a_slot_that_was_paused_for_ten_seconds_goes_on() -> None:
    seen = play("tests.launch.nodes", "a_slot_is_paused_briefly")

    assert seen["ended"]["state"] == "COMPLETE"
    assert seen["seqs"] == list(range(len(seen["seqs"])))


def test_a_connection_that_breaks_loses_no_trial_and_no_event() -> None:
    seen = play("tests.launch.nodes", "a_connection_breaks")

    assert [(end["state"], end["failure"]) for end in seen["ended"]] == [("COMPLETE", None)] * 3
    assert all(seqs == list(range(len(seqs))) for seqs in seen["seqs"])


def test_a_trial_outlives_its_driver_and_is_heard_whole_by_the_next() -> None:
    seen = play("tests.launch.nodes", "a_driver_dies")

    assert (seen["adopted"], seen["number"], seen["ended"]["state"]) == (1, 7, "COMPLETE")
    assert seen["whole"]
    assert seen["starts"] == 1
    assert seen["steps"] == list(range(len(seen["steps"])))  # no step was trained twice
    assert seen["again"]["state"] == "COMPLETE"


def test_the_trials_of_a_killed_launch_go_on_and_are_the_next_launchs_or_a_joined_ones() -> None:
    found = play("tests.launch.nodes", "a_driver_of_a_sweep_dies")

    for how in ("again", "joined"):
        seen = found[how]
        assert seen["status"] == 0, seen["log"]
        assert seen["epochs"] == ["0 1 2 3 "] * 3  # none was trained twice
        assert seen["runs"] == [[0, "COMPLETE", None]] * 3
        assert seen["points"] == [4, 4, 4]
