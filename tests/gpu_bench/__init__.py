"""A bench of GPUs without a GPU: a driver library made here, and the file that says what it tells.

With `environment()` a process sees the cards through the real pynvml, and Ray finds them by itself. The file may change
at any moment: tests change it with `Bench`, trials with `occupy`.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

GIB = 1 << 30
FALLEN_OFF_THE_BUS = 15  # NVML_ERROR_GPU_IS_LOST


@dataclass(frozen=True)
class Card:
    """What the driver tells of one card, besides the memory that living processes hold there."""

    uuid: str
    name: str = "NVIDIA H100 80GB HBM3"
    memory: int = 80 * GIB
    used: int = 0
    utilization: int = 0  # percent
    power_mw: int = 70_000
    celsius: int = 35
    ecc_errors: int = 0
    slices: int = 0  # MIG
    error: int = 0
    processes: tuple[tuple[int, ...], ...] = ()  # (pid, bytes[, slice]); -1 bytes: the driver does not tell

    def lines(self, index: int) -> list[str]:
        numbers = f"{self.memory} {self.used} {self.utilization} {self.power_mw} {self.celsius} {self.ecc_errors}"
        told = [f"gpu {self.uuid} {numbers} {self.slices} {self.error} {self.name}"]
        return told + [f"process {index} {' '.join(map(str, process))}" for process in self.processes]


@dataclass
class Bench:
    """Cards of one machine."""

    library: Path  # the folder with libnvidia-ml.so.1
    file: Path
    cards: list[Card] = field(default_factory=list)
    hang: Path | None = None  # while there is such a file, the driver answers nobody

    def write(self) -> None:
        lines = [line for index, card in enumerate(self.cards) for line in card.lines(index)]
        if self.hang is not None:
            lines.insert(0, f"hang {self.hang}")
        _put(self.file, lines)

    def change(self, index: int, **what: object) -> None:
        self.cards[index] = replace(self.cards[index], **what)  # type: ignore[arg-type]
        self.write()

    def environment(self) -> dict[str, str]:
        return {"GPU_BENCH": str(self.file), "LD_LIBRARY_PATH": str(self.library)}


def build(folder: Path) -> Path:
    """Compile the driver library into `folder`, which is returned."""
    source = Path(__file__).with_name("nvml.c")
    library = folder / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return folder


def occupy(size: int, pid: int | None = None) -> None:
    """Say that this process holds so many bytes on the first card that it may use; 0 lets go of them."""
    pid = os.getpid() if pid is None else pid
    visible = os.environ["CUDA_VISIBLE_DEVICES"].split(",")[0]
    _edit(Path(os.environ["GPU_BENCH"]), lambda lines: _occupied(lines, visible, pid, size))


def _occupied(lines: list[str], visible: str, pid: int, size: int) -> list[str]:
    uuids = [line.split()[1] for line in lines if line.startswith("gpu ")]
    index = int(visible) if visible.isdigit() else uuids.index(visible)
    kept = [line for line in lines if not line.startswith(f"process {index} {pid} ")]
    return [*kept, f"process {index} {pid} {size}"] if size else kept


def _edit(file: Path, change: Callable[[list[str]], list[str]]) -> None:
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _put(file, change(file.read_text().splitlines()))


def _put(file: Path, lines: list[str]) -> None:
    beside = file.with_suffix(f".{os.getpid()}")
    beside.write_text("\n".join(lines) + "\n")
    beside.replace(file)
