from __future__ import annotations

from pathlib import Path

import pytest

from sweeper.run.fence import Fence
from sweeper.run.outcome import Interruption
from sweeper.trial import Failure


def test_a_newer_attempt_shuts_out_the_older_ones_for_good(tmp_path: Path) -> None:
    first, second, third = (Fence(str(tmp_path), attempt) for attempt in range(3))
    assert first.take()
    assert third.take()

    assert not first.is_open()
    assert not second.take()
    assert third.is_open()
    with pytest.raises(Interruption, match="a newer attempt of this trial has begun") as caught:
        first.insist()
    assert caught.value.failure == Failure.LOST
    third.insist()


def test_the_first_attempt_leaves_no_file(tmp_path: Path) -> None:
    assert Fence(str(tmp_path), 0).take()

    assert list(tmp_path.iterdir()) == []
