"""What the driver says of cards that are cut up (MIG), and which of their slices a process sees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.gpu_bench import GIB, Bench, Card

_ASK = """
import dataclasses, json
from sweeper import nvml
with nvml.session() as library:
    found = nvml.seen(nvml.cards(library))
print(json.dumps([dataclasses.asdict(card) for card in found]))
"""


@pytest.fixture
def bench(gpu_library: Path, tmp_path: Path) -> Bench:
    """A card in two slices, a process in the second of them, beside a whole card."""
    own = os.getpid()
    cut = Card("GPU-a", name="H100", slices=2, utilization=50, processes=((own, 3 * GIB, 1),))
    made = Bench(gpu_library, tmp_path / "cards", [cut, Card("GPU-b", processes=((own, GIB),))])
    made.write()
    return made


def seen(bench: Bench, **environment: str) -> list[dict[str, Any]]:
    given = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    given |= bench.environment() | environment
    told = subprocess.run([sys.executable, "-c", _ASK], env=given, stdout=subprocess.PIPE, check=True)
    found: list[dict[str, Any]] = json.loads(told.stdout)
    return found


def test_a_slice_is_a_card_of_its_own_in_the_place_of_the_one_that_is_cut_up(bench: Bench) -> None:
    first, second, whole = seen(bench)
    assert [card["uuid"] for card in (first, second, whole)] == ["MIG-GPU-a-0", "MIG-GPU-a-1", "GPU-b"]
    assert [card["index"] for card in (first, second, whole)] == [0, 0, 1]
    assert [card["memory_total"] for card in (first, second, whole)] == [40 * GIB, 40 * GIB, 80 * GIB]
    assert first["name"] == "H100 MIG" and first["utilization"] is None  # the driver does not tell it of slices


def test_what_a_process_holds_counts_on_its_slice_alone(bench: Bench) -> None:
    process = {"pid": os.getpid(), "memory": 3 * GIB}
    first, second, whole = seen(bench)
    assert (first["memory_used"], first["processes"]) == (0, [])
    assert (second["memory_used"], second["processes"]) == (3 * GIB, [process])
    assert whole["memory_used"] == GIB


@pytest.mark.parametrize(
    ("visible", "uuids"),
    [
        ("0", ["MIG-GPU-a-0"]),  # as CUDA does: of a card that is cut up, a process sees one slice
        ("0,1", ["MIG-GPU-a-0", "GPU-b"]),
        ("MIG-GPU-a-1", ["MIG-GPU-a-1"]),
        ("MIG-GPU-a-1,MIG-GPU-a-0", ["MIG-GPU-a-1", "MIG-GPU-a-0"]),
        ("MIG-GPU-a", []),  # either could be meant
    ],
)
def test_which_slices_a_process_sees(bench: Bench, visible: str, uuids: list[str]) -> None:
    assert [card["uuid"] for card in seen(bench, CUDA_VISIBLE_DEVICES=visible)] == uuids
