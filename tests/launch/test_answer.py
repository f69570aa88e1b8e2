"""What an actor answers, or why there is no answer; a signal meanwhile is heard at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweeper.errors import Interrupted
from sweeper.interruption import Interruption
from sweeper.launch.answer import answer
from sweeper.launch.cluster import local_ray

pytestmark = pytest.mark.slow


class Slow:
    def until(self, called: str, released: str) -> str:
        Path(called).touch()
        _wait_for(Path(released))
        return "released"


def _wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)  # another process makes it


@pytest.fixture(scope="module")
def slow() -> Iterator[Any]:
    with local_ray():
        import ray

        yield ray.remote(Slow).options(num_cpus=0).remote()


def test_a_signal_is_heard_while_the_actor_is_still_busy(slow: Any, tmp_path: Path) -> None:
    called, released = tmp_path / "called", tmp_path / "released"

    def tell() -> None:
        _wait_for(called)
        os.kill(os.getpid(), signal.SIGTERM)

    asked = slow.until.remote(str(called), str(released))
    threading.Thread(target=tell, daemon=True).start()
    with Interruption().heeded(), pytest.raises(Interrupted):
        answer(asked, 60.0)
    released.touch()
    assert answer(asked, 60.0) == "released"


def test_no_answer_in_time_is_an_error_of_rays(slow: Any, tmp_path: Path) -> None:
    from ray.exceptions import RayError

    released = tmp_path / "released"
    asked = slow.until.remote(str(tmp_path / "called"), str(released))
    with pytest.raises(RayError, match=r"no answer within 0\.1 s"):
        answer(asked, 0.1)
    released.touch()


def test_an_error_of_the_actors_is_raised(slow: Any) -> None:
    with pytest.raises(FileNotFoundError):
        answer(slow.until.remote("/nowhere/called", ""), 60.0)
