"""A sweep that is driven on the cluster, while whoever launched it has left."""

from __future__ import annotations

import pytest

from tests.launch.scene import play


@pytest.mark.slow
def test_the_sweep_goes_on_from_another_node_when_its_drivers_node_dies_and_is_followed_from_outside() -> None:
    seen = play("tests.launch.detached")

    assert seen["sent"] == 0, seen["said"]
    assert "sweeper attach app" in seen["said"]
    assert seen["status"] == 130, seen["shown"]
    if seen["has_lost_a_node"]:  # one trial was lost with it, the other was adopted
        assert seen["epochs"] == ["0 1 ", "0 1 0 1 2 3 ", "0 1 2 3 "]
        assert seen["runs"] == [
            *([0, "COMPLETE", "None"], [0, "FAIL", "lost"], [0, "FAIL", "stopped"]),
            [1, "COMPLETE", "None"],
        ]
    else:
        assert seen["epochs"] == ["0 1 ", *["0 1 2 3 "] * 2]
        assert seen["runs"] == [*[[0, "COMPLETE", "None"]] * 2, [0, "FAIL", "stopped"]]
    assert seen["stopped"][0] == 0, seen["stopped"]
    assert seen["sweeps"] == ["lost", "stopped"]
    assert "app/1 started" in seen["shown"]["attach"]
    assert "best trials of app" in seen["shown"]["attach"]
    assert "2 of 3 finished" in seen["shown"]["logs"]  # through the actor, before and after its node has died
    assert seen["secrets"] == []  # neither in logs nor in anything else that Ray or the sweep has written
