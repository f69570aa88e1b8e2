"""GPU facts through the real pynvml, on a bench with two cards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gpu_bench import GIB, Bench, Card

_ASK = """
import json
from sweeper.provenance.capture import Capture
from sweeper.provenance.code import NO_SNAPSHOT
facts = Capture(NO_SNAPSHOT).at_start({})
print(json.dumps({"gpus": facts.document["gpus"], "uuids": facts.gpus, "name": facts.environment}))
"""


@pytest.fixture(scope="module")
def bench(gpu_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    made = Bench(gpu_library, tmp_path_factory.mktemp("bench") / "gpus", [Card("GPU-1"), Card("GPU-2")])
    made.write()
    return made


def ask(bench: Bench, **variables: str) -> dict[str, object]:
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    environment |= bench.environment() | variables
    done = subprocess.run([sys.executable, "-c", _ASK], check=True, capture_output=True, text=True, env=environment)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_driver_cuda_and_every_visible_card(bench: Bench) -> None:
    found = ask(bench)
    card = {
        "name": "NVIDIA H100 80GB HBM3",
        "memory_bytes": 80 * GIB,
        "compute_capability": "9.0",
        "power_limit_w": 700.0,
        "ecc": True,
        "mig": False,
    }
    assert found["gpus"] == {
        "driver": "550.54.15",
        "cuda_driver": "12.4",
        "on_machine": 2,
        "visible": [card, card],
    }
    assert found["uuids"] == ["GPU-1", "GPU-2"]


@pytest.mark.parametrize(
    ("visible", "uuids"), [("1", ["GPU-2"]), ("GPU-2,0", ["GPU-2", "GPU-1"]), ("", []), ("0,-1,1", ["GPU-1"])]
)
def test_what_cuda_leaves_visible(bench: Bench, visible: str, uuids: list[str]) -> None:
    assert ask(bench, CUDA_VISIBLE_DEVICES=visible)["uuids"] == uuids


def test_slots_on_cards_of_one_kind_have_one_environment(bench: Bench) -> None:
    first, second = (ask(bench, CUDA_VISIBLE_DEVICES=visible) for visible in "01")
    assert first["uuids"] != second["uuids"]
    assert first["name"] == second["name"]
