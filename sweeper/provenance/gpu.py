"""The GPUs that this process can see, and the driver below them, from NVML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sweeper import nvml


def gpus() -> dict[str, object]:
    """Driver, CUDA driver version, and each visible GPU; `none: why` where the machine has no driver."""
    if not nvml.is_present() and not Path("/proc/driver/nvidia/version").exists():
        return {"none": "no NVIDIA driver on this machine"}
    with nvml.session() as library:
        found = nvml.cards(library)
        return {
            "driver": nvml.text(library.nvmlSystemGetDriverVersion()),
            "cuda_driver": _cuda(library.nvmlSystemGetCudaDriverVersion()),
            "on_machine": len(found),
            "visible": [_gpu(library, card) for card in nvml.seen(found)],
        }


def _gpu(library: Any, card: nvml.Card) -> dict[str, object]:
    found: dict[str, object] = {"name": card.name, "uuid": card.uuid, "memory_bytes": card.memory_total}
    handle = library.nvmlDeviceGetHandleByIndex(card.index)
    for name, read in _FURTHER.items():
        try:
            found[name] = read(library, handle)
        except (library.NVMLError, AttributeError, TypeError, ValueError):
            continue  # not every card, driver or virtual machine has it
    return found


_FURTHER: dict[str, Any] = {
    "compute_capability": lambda library, gpu: ".".join(map(str, library.nvmlDeviceGetCudaComputeCapability(gpu))),
    "power_limit_w": lambda library, gpu: int(library.nvmlDeviceGetPowerManagementLimit(gpu)) / 1000,
    "ecc": lambda library, gpu: bool(library.nvmlDeviceGetEccMode(gpu)[0]),
    "mig": lambda library, gpu: bool(library.nvmlDeviceGetMigMode(gpu)[0]),
}


def _cuda(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"
