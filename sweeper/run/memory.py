"""Whether the kernel killed a process because memory had run out: SIGKILL alone does not say.

The kernel counts such kills for each control group and for the machine. A count that has not risen proves that it was
somebody else; one that has risen is as good as proof where the process died of SIGKILL meanwhile.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

from sweeper.trial import Failure

_COUNT = re.compile(rb"^oom_kill (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Kills:
    """How many processes the kernel has killed for memory so far; None where it cannot be read."""

    in_group: int | None  # in the control group of this process
    on_machine: int | None

    @classmethod
    def now(cls, root: Path = Path("/")) -> Kills:
        """Read the counts; `root` is where /proc and /sys are mounted."""
        return cls(_in_group(root), _count(root / "proc/vmstat"))

    def cause_since(self, before: Kills) -> tuple[Failure, str]:
        """What to say of a process that died of SIGKILL between the two counts, without our doing."""
        if _rose(before.in_group, self.in_group):
            return Failure.OOM, "killed by the kernel: the memory of its control group ran out (SIGKILL)"
        if _rose(before.on_machine, self.on_machine):
            return Failure.OOM, "killed (SIGKILL) while the kernel was killing processes because memory had run out"
        if self.on_machine is not None or self.in_group is not None:
            return Failure.CRASHED, "killed by somebody (SIGKILL); it was not the kernel, memory had not run out"
        return Failure.CRASHED, "killed (SIGKILL); often the kernel, out of memory, which does not tell here"


def _rose(before: int | None, now: int | None) -> bool:
    return before is not None and now is not None and now > before


def _in_group(root: Path) -> int | None:
    """`memory.events` of cgroup 2, or `memory.oom_control` of cgroup 1."""
    with contextlib.suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            below = path.lstrip("/")
            if not controllers and (count := _count(root / "sys/fs/cgroup" / below / "memory.events")) is not None:
                return count
            if "memory" in controllers.split(","):
                return _count(root / "sys/fs/cgroup/memory" / below / "memory.oom_control")
    return None


def _count(path: Path) -> int | None:
    with contextlib.suppress(OSError):
        if (found := _COUNT.search(path.read_bytes())) is not None:
            return int(found[1])
    return None
