"""Runs a small sweep on this machine's first GPU and checks what is on record of it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from sweeper import nvml
from sweeper.history import History

GIB = 1 << 30


def sweep(folder: Path, name: str, *overrides: str) -> int:
    command = [sys.executable, str(Path(__file__).with_name("train.py")), "-m", "hydra/sweeper=sweeper"]
    command += [
        f"hydra.sweeper.study_name={name}",
        "hydra.sweep.dir=sweep",
        "hydra.sweeper.trial.retries=0",
        *overrides,
    ]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "0", "SWEEPER_STORAGE": f"sqlite:///{folder}/sweeper.db"}
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


def check(what: str, is_so: bool, seen: object) -> bool:
    print(f"{'ok   ' if is_so else 'WRONG'} {what}: {seen}")
    return is_so


def checks(folder: Path) -> list[bool]:
    with nvml.session() as library:
        before = nvml.cards(library)[0]
    share = ("hydra.sweeper.resources.gpus=0.5", "hydra.sweeper.resources.cpus=0")
    status = sweep(folder, "packed", *share, "hydra.sweeper.n_trials=2", "+gib=choice(1, 2)", "+greedy=false")
    greedy = sweep(folder, "greedy", *share, "hydra.sweeper.n_trials=1", "+gib=1", "+greedy=true")
    with nvml.session() as library:
        after = nvml.cards(library)[0]
    history = History(f"sqlite:///{folder}/sweeper.db")
    runs = [history.trial("packed", number).runs[-1] for number in range(2)]
    (failed,) = history.trial("greedy", 0).runs
    spans = [(run.started_at or 0.0, run.ended_at or 0.0) for run in runs]
    peaks = [run.peak_gpu_memory_bytes or 0 for run in runs]
    held = [float(str(run.config["gib"])) * GIB for run in runs]
    return [
        check("two trials on one card", status == 0 and len({run.gpus for run in runs}) == 1, runs[0].gpus),
        check("at the same time", max(start for start, _ in spans) < min(end for _, end in spans), spans),
        check("peaks", all(h <= p <= h + 2 * GIB for h, p in zip(held, peaks, strict=True)), peaks),
        check(
            "their basis is known", all(run.gpu_memory_basis for run in runs), [run.gpu_memory_basis for run in runs]
        ),
        check("energy", all((run.energy_j or 0) > 0 for run in runs), [run.energy_j for run in runs]),
        check("out of memory told apart", (greedy, failed.failure) == (5, "oom"), (greedy, failed.failure)),
        check(
            "memory freed",
            isinstance(after, nvml.Card)
            and isinstance(before, nvml.Card)
            and after.memory_used <= before.memory_used + (64 << 20),
            after,
        ),
    ]


def main() -> int:
    if not nvml.is_present():
        print("no GPU here: this machine has no NVIDIA driver")
        return 0
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        return 0 if all(checks(Path(folder))) else 1


if __name__ == "__main__":
    sys.exit(main())
