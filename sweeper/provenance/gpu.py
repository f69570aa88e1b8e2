"""The GPUs that this process can see, and the driver below them, from NVML: no CUDA context is made."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any


def gpus() -> dict[str, object]:
    """Driver, CUDA driver version, and each visible GPU; `none: why` where the machine has no driver."""
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        if Path("/proc/driver/nvidia/version").exists():
            raise
        return {"none": "no NVIDIA driver on this machine"}
    import pynvml

    pynvml.nvmlInit()
    try:
        count = pynvml.nvmlDeviceGetCount()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
        seen = _visible([_text(pynvml.nvmlDeviceGetUUID(handle)) for handle in handles])
        return {
            "driver": _text(pynvml.nvmlSystemGetDriverVersion()),
            "cuda_driver": _cuda(pynvml.nvmlSystemGetCudaDriverVersion()),
            "on_machine": count,
            "visible": [_gpu(pynvml, handles[index]) for index in seen],
        }
    finally:
        pynvml.nvmlShutdown()


def _gpu(nvml: Any, handle: Any) -> dict[str, object]:
    found: dict[str, object] = {
        "name": _text(nvml.nvmlDeviceGetName(handle)),
        "uuid": _text(nvml.nvmlDeviceGetUUID(handle)),
        "memory_bytes": int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
    }
    for name, read in _FURTHER.items():
        try:
            found[name] = read(nvml, handle)
        except (nvml.NVMLError, AttributeError, TypeError, ValueError):
            continue  # not every card, driver or virtual machine has it
    return found


_FURTHER: dict[str, Any] = {
    "compute_capability": lambda nvml, gpu: ".".join(map(str, nvml.nvmlDeviceGetCudaComputeCapability(gpu))),
    "power_limit_w": lambda nvml, gpu: int(nvml.nvmlDeviceGetPowerManagementLimit(gpu)) / 1000,
    "ecc": lambda nvml, gpu: bool(nvml.nvmlDeviceGetEccMode(gpu)[0]),
    "mig": lambda nvml, gpu: bool(nvml.nvmlDeviceGetMigMode(gpu)[0]),
}


def _visible(uuids: list[str]) -> list[int]:
    """Indices of what CUDA_VISIBLE_DEVICES leaves, in its order; CUDA stops at the first word that names nothing."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        return list(range(len(uuids)))
    seen = []
    for word in filter(None, (part.strip() for part in given.split(","))):
        if word.isdigit() and int(word) < len(uuids):
            seen.append(int(word))
            continue
        named = [index for index, uuid in enumerate(uuids) if uuid.startswith(word)]
        if len(named) != 1:
            break
        seen.append(named[0])
    return seen


def _cuda(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
