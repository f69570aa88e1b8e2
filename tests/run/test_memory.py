from __future__ import annotations

from pathlib import Path

import pytest

from sweeper.run.memory import Kills
from sweeper.trial import Failure


def machine(root: Path, group: int | None, vmstat: int | None, version: int = 2) -> Path:
    """The kernel's files as they lie on a machine with either version of control groups."""
    (root / "proc/self").mkdir(parents=True, exist_ok=True)
    lines = ["0::/job"] if version == 2 else ["4:cpu,memory:/job", "0::/"]
    (root / "proc/self/cgroup").write_text("\n".join(lines) + "\n")
    folder, name = (
        ("sys/fs/cgroup/job", "memory.events") if version == 2 else ("sys/fs/cgroup/memory/job", "memory.oom_control")
    )
    (root / folder).mkdir(parents=True, exist_ok=True)
    if group is not None:
        (root / folder / name).write_text(f"oom 9\noom_kill_disable 0\noom_kill {group}\n")
    if vmstat is not None:
        (root / "proc/vmstat").write_text(f"nr_free_pages 1\noom_kill {vmstat}\n")
    return root


@pytest.mark.parametrize("version", [1, 2])
def test_both_versions_of_control_groups_are_read(tmp_path: Path, version: int) -> None:
    assert Kills.now(machine(tmp_path, 3, 5, version)) == Kills(3, 5)


def test_what_cannot_be_read_is_not_known(tmp_path: Path) -> None:
    assert Kills.now(tmp_path) == Kills(None, None)


@pytest.mark.parametrize(
    ("before", "after", "failure", "words"),
    [
        (Kills(1, 7), Kills(2, 8), Failure.OOM, "the memory of its control group ran out"),
        (Kills(1, 7), Kills(1, 8), Failure.OOM, "while the kernel was killing processes because memory had run out"),
        (Kills(None, 7), Kills(None, 8), Failure.OOM, "while the kernel was killing processes"),
        (Kills(1, 7), Kills(1, 7), Failure.CRASHED, "it was not the kernel"),
        (Kills(None, None), Kills(None, None), Failure.CRASHED, "often the kernel, out of memory, which does not tell"),
    ],
)
def test_a_kill_is_the_kernels_where_its_count_has_risen(
    before: Kills, after: Kills, failure: Failure, words: str
) -> None:
    kind, text = after.cause_since(before)

    assert kind == failure
    assert words in text


def test_this_kernel_says_how_often_it_has_killed() -> None:
    assert Kills.now().on_machine is not None
