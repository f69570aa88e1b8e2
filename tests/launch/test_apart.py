"""A sweep whose nodes see nothing of the project: the code travels there, and what is to be kept comes back."""

from __future__ import annotations

import pytest

from tests.launch.scene import play


@pytest.mark.slow
def test_trials_run_where_no_folder_is_shared_and_what_they_keep_reaches_the_store() -> None:
    seen = play("tests.launch.apart")

    assert seen["status"] == 0, seen["log"]
    assert seen["values"] == [[3.0], [3.0]]  # the words of a tracked file, read by a module that no commit has
    assert seen["runs"] == [["COMPLETE", None, 0, []], ["FAIL", "lost", 0, []], ["COMPLETE", None, 1, []]]
    assert "its checkpoints lay on that node alone, and the next attempt begins anew" in seen["log"]
    assert seen["metrics"] == {"steps": 1.0, "ignored": 0.0}  # no checkpoint of the dead node, no ignored file
    assert {"trial.log", ".hydra/config.yaml", "weights.bin"} <= set(seen["kept"])
    assert seen["missing"] == []
    assert seen["is_whole"]
    assert seen["data"] == [None]
    assert "weights.bin" not in seen["left"]  # in the driver's own folder
