"""The public list of `sweeper` holds whatever rooms are imported."""

from __future__ import annotations

import pkgutil

import sweeper


def test_no_room_can_take_the_place_of_a_public_name() -> None:
    rooms = {module.name for module in pkgutil.iter_modules(sweeper.__path__)}

    assert rooms.isdisjoint(sweeper.__all__)
