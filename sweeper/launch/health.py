"""Which nodes have had too many errors of their hardware: they take no more trials."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from optuna.trial import TrialState

from sweeper.trial import Ended

# As CUDA, NCCL and the driver say it. An illegal access or a failed launch is mostly the program's own.
_HARDWARE = re.compile(
    r"uncorrectable ECC|\bECC error|fallen off the bus|GPU is lost|\bXid\b|NVLink error|hardware (error|stack error)"
    r"|NCCL\w*\s*(error|failure|timeout)|ncclSystemError|ncclUnhandledCudaError|ncclInternalError"
    r"|CUDA_ERROR_(ECC_UNCORRECTABLE|HARDWARE_STACK_ERROR|NVLINK_UNCORRECTABLE|DEVICE_UNAVAILABLE)"
    r"|CUDA-capable device\(s\) is/are busy or unavailable|unable to determine the device handle",
    re.IGNORECASE,
)


def is_of_the_hardware(end: Ended) -> bool:
    """Whether an end was, by its text, the fault of the machine."""
    return end.state == TrialState.FAIL and bool(_HARDWARE.search(f"{end.error or ''}\n{end.traceback or ''}"))


@dataclass
class Health:
    """What is known of the nodes of one launch."""

    limit: int = 2  # such errors on a node; no success takes one back
    closed: set[str] = field(default_factory=set)  # Ray's ids
    _errors: Counter[str] = field(default_factory=Counter)

    def heard(self, node: str, end: Ended) -> str | None:
        """Take note of a trial's end on a node; what to tell the user where that closes it."""
        if not is_of_the_hardware(end) or node in self.closed:
            return None
        self._errors[node] += 1
        if self._errors[node] < self.limit:
            return None
        self.closed.add(node)
        return (
            f"node {node[:8]} takes no more trials: {self._errors[node]} failed there of its hardware, "
            f"the last with {end.error}"
        )
