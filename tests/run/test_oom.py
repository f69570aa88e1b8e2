"""A kill by the kernel for memory, in a control group of its own; where none can be made, a limited address space."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.trial import TrialState

from sweeper.trial import Ended, Failure, Isolation
from tests.contracts.launcher import run_all
from tests.run import apps
from tests.run.test_host import HostLauncher
from tests.spec import spec_for

LIMIT_BYTES = 600 << 20


@contextlib.contextmanager
def small_group() -> Iterator[Path | None]:
    """A control group whose processes get 600 MiB between them; None where this user may make none."""
    for made, limit in _candidates():
        with contextlib.suppress(OSError):
            made.mkdir()
            try:
                (made / limit).write_text(str(LIMIT_BYTES))
                yield made
                return
            finally:
                made.rmdir()
    yield None


def _candidates() -> Iterator[tuple[Path, str]]:
    """Below the group of this process, in either version of control groups."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        name = f"{path.lstrip('/')}/sweeper-test-{os.getpid()}"
        if "memory" in controllers.split(","):
            yield Path("/sys/fs/cgroup/memory", name), "memory.limit_in_bytes"
        elif not controllers:
            yield Path("/sys/fs/cgroup", name), "memory.max"


@pytest.mark.slow
def test_a_trial_that_the_kernel_kills_for_memory_ran_out_of_it_and_the_next_one_runs(tmp_path: Path) -> None:
    with small_group() as group:
        words = [sys.executable, "-m", "tests.run.test_oom", str(tmp_path), str(group or "")]
        done = subprocess.run(words, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    (failure, error), (_, none) = json.loads(done.stdout.splitlines()[-1])
    assert failure == Failure.OOM, error
    assert group is None or "killed by the kernel: the memory of its control group ran out" in error
    assert none is None


def main(folder: Path, group: str) -> None:
    """Run a trial that takes all memory there is, and one that does not, within the group."""
    if group:
        Path(group, "cgroup.procs").write_text(str(os.getpid()))
    else:
        resource.setrlimit(resource.RLIMIT_AS, (8 * LIMIT_BYTES, 8 * LIMIT_BYTES))
    specs = [spec_for(folder, {"x": x}, number) for number, x in enumerate((1.0, 0.0))]
    ends = [events[-1] for events in run_all(HostLauncher(apps.takes_all_memory_if_x, Isolation.PROCESS), specs)]
    assert all(isinstance(end, Ended) for end in ends)
    assert ends[1].state == TrialState.COMPLETE  # type: ignore[union-attr]
    print(json.dumps([[end.failure, end.error] for end in ends]))  # type: ignore[union-attr]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
