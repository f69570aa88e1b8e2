"""What NVML, NVIDIA's management library, says of this machine's cards. No CUDA context is made.

A driver may hang, for good, when a card has fallen off the bus: whoever must not hang with it asks in a process of its
own. Units are bytes, watts, joules, degrees Celsius; a utilization is a share from 0 to 1.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_LIBRARY = "libnvidia-ml.so.1"


@dataclass(frozen=True, slots=True)
class Process:
    """A process that holds memory on a card."""

    pid: int  # in the pid namespace of the driver
    memory: int | None  # bytes; None where the driver does not tell


@dataclass(frozen=True, slots=True)
class Card:
    """A card, or a slice of one that is cut up (MIG), at one moment; None for what the driver does not tell."""

    index: int  # of the card on its machine
    uuid: str
    name: str
    memory_total: int
    memory_used: int
    utilization: float | None = None
    power_w: float | None = None
    energy_j: float | None = None  # since the driver was loaded
    temperature_c: float | None = None
    ecc_errors: int | None = None  # that could not be corrected, since the driver was loaded
    processes: tuple[Process, ...] = ()


@dataclass(frozen=True, slots=True)
class Broken:
    """A card that does not answer."""

    index: int
    error: str


def is_present() -> bool:
    """Whether this machine has NVIDIA's driver: without one, nothing else here is to be called."""
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def session() -> Iterator[Any]:
    """The module pynvml, initialized meanwhile. Raises pynvml.NVMLError where the driver does not answer."""
    import pynvml

    pynvml.nvmlInit()
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def cards(nvml: Any) -> list[Card | Broken]:
    """Every card of the machine now; of one that is cut up, its slices."""
    found: list[Card | Broken] = []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            found += _slices(nvml, index)
        except nvml.NVMLError as error:
            found.append(Broken(index, str(error)))
    return found


def seen(found: Sequence[Card | Broken]) -> list[Card]:
    """Those that CUDA_VISIBLE_DEVICES leaves this process, in its order; CUDA stops at the first word without a card.

    Words are indices, or beginnings of UUIDs.
    """
    whole = [card for card in found if isinstance(card, Card)]
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        return whole
    visible = []
    for word in filter(None, (part.strip() for part in given.split(","))):
        named = [card for card in whole if (str(card.index) == word if word.isdigit() else card.uuid.startswith(word))]
        if not named or (len(named) > 1 and not word.isdigit()):
            break
        visible.append(named[0])
    return visible


def _slices(nvml: Any, index: int) -> list[Card]:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    slices = []
    with contextlib.suppress(nvml.NVMLError, AttributeError):
        if nvml.nvmlDeviceGetMigMode(handle)[0]:
            for number in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
                with contextlib.suppress(nvml.NVMLError):
                    slices.append(_card(nvml, nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number), index))
    return slices or [_card(nvml, handle, index)]


def _card(nvml: Any, handle: Any, index: int) -> Card:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)

    def told(ask: Callable[[], float]) -> float | None:
        """What not every card, driver or virtual machine tells."""
        try:
            return ask()
        except (nvml.NVMLError, AttributeError):
            return None

    ecc = told(lambda: nvml.nvmlDeviceGetTotalEccErrors(handle, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, 0))
    return Card(
        index=index,
        uuid=text(nvml.nvmlDeviceGetUUID(handle)),
        name=text(nvml.nvmlDeviceGetName(handle)),
        memory_total=int(memory.total),
        memory_used=int(memory.used),
        utilization=told(lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100),
        power_w=told(lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000),
        energy_j=told(lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000),
        temperature_c=told(lambda: float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))),
        ecc_errors=None if ecc is None else int(ecc),
        processes=_processes(nvml, handle),
    )


def _processes(nvml: Any, handle: Any) -> tuple[Process, ...]:
    found: dict[int, int | None] = {}
    for ask in (nvml.nvmlDeviceGetComputeRunningProcesses, nvml.nvmlDeviceGetGraphicsRunningProcesses):
        with contextlib.suppress(nvml.NVMLError, AttributeError):
            for process in ask(handle):
                found.setdefault(process.pid, process.usedGpuMemory)
    return tuple(Process(pid, memory) for pid, memory in sorted(found.items()))


def text(value: str | bytes) -> str:
    """A text of the driver's: pynvml has given it as bytes at times."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
