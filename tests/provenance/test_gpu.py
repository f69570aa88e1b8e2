"""GPU facts through the real pynvml, from a driver library that is made here, with two cards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_DRIVER = r"""
#include <stdio.h>
#include <string.h>
typedef struct { unsigned long long total, free, used; } memory;
int nvmlInit_v2(void) { return 0; }
int nvmlInitWithFlags(unsigned f) { return 0; }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int code) { return "not supported"; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) { snprintf(text, size, "550.54.15"); return 0; }
int nvmlSystemGetCudaDriverVersion(int *version) { *version = 12040; return 0; }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 12040; return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) { *handle = (void *)(long)(index + 1); return 0; }
int nvmlDeviceGetName(void *gpu, char *text, unsigned n) { snprintf(text, n, "NVIDIA H100 80GB HBM3"); return 0; }
int nvmlDeviceGetUUID(void *gpu, char *text, unsigned n) { snprintf(text, n, "GPU-%ld", (long)gpu); return 0; }
int nvmlDeviceGetMemoryInfo(void *handle, memory *found) { found->total = 85520809984ull; return 0; }
int nvmlDeviceGetCudaComputeCapability(void *handle, int *major, int *minor) { *major = 9; *minor = 0; return 0; }
"""
_ASK = """
import json
from sweeper.provenance.capture import Capture
from sweeper.provenance.code import NO_SNAPSHOT
facts = Capture(NO_SNAPSHOT).at_start({})
print(json.dumps({"gpus": facts.document["gpus"], "uuids": facts.gpus, "name": facts.environment}))
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("driver")
    (folder / "nvml.c").write_text(_DRIVER)
    library = folder / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-w", "-o", str(library), str(folder / "nvml.c")], check=True)
    return folder


def ask(driver: Path, **variables: str) -> dict[str, object]:
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    environment |= {"LD_LIBRARY_PATH": str(driver)} | variables
    done = subprocess.run([sys.executable, "-c", _ASK], check=True, capture_output=True, text=True, env=environment)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_driver_cuda_and_every_visible_card(driver: Path) -> None:
    found = ask(driver)
    card = {"name": "NVIDIA H100 80GB HBM3", "memory_bytes": 85520809984, "compute_capability": "9.0"}
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
def test_what_cuda_leaves_visible(driver: Path, visible: str, uuids: list[str]) -> None:
    assert ask(driver, CUDA_VISIBLE_DEVICES=visible)["uuids"] == uuids


def test_slots_on_cards_of_one_kind_have_one_environment(driver: Path) -> None:
    first, second = (ask(driver, CUDA_VISIBLE_DEVICES=visible) for visible in "01")
    assert first["uuids"] != second["uuids"]
    assert first["name"] == second["name"]
