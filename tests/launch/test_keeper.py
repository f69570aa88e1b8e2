from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sweeper.launch.keeper import Order
from sweeper.launch.landmark import Landmark, planted


@pytest.fixture
def order(tmp_path: Path) -> Order:
    own = planted(tmp_path / "sweep")
    return Order([], {}, str(tmp_path), own, planted(tmp_path, near=[own]))


def test_a_driver_runs_where_folder_code_and_database_are_seen(order: Order) -> None:
    assert order.obstacle() is None
    assert replace(order, database=None).obstacle() is None


@pytest.mark.parametrize(
    ("lacking", "what", "instead"),
    [
        ({"folder": Landmark("/shared/out", "/shared/out/mark", "t")}, "the sweep's folder /shared/out", "sweep.dir="),
        ({"cwd": "/shared/project"}, "/shared/project", "a folder that nodes share"),
        ({"database": Landmark("/home/me", "/home/me/mark", "t")}, "the database's folder /home/me", "postgresql://"),
    ],
)
def test_elsewhere_it_is_said_what_is_lacking_and_what_to_do(
    order: Order, lacking: dict[str, object], what: str, instead: str
) -> None:
    said = replace(order, **lacking).obstacle()  # type: ignore[arg-type]

    assert said is not None
    assert f"does not see {what}" in said
    assert instead in said
