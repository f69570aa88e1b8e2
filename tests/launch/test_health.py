from __future__ import annotations

import pytest
from optuna.trial import TrialState

from sweeper.launch.health import Health
from sweeper.trial import Ended, Failure

_OF_THE_MACHINE = [
    "RuntimeError: CUDA error: uncorrectable ECC error encountered",
    "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp, ncclSystemError",
    "NVML: GPU is lost",
    "Xid 79: GPU has fallen off the bus",
    "RuntimeError: CUDA error: CUDA-capable device(s) is/are busy or unavailable",
]


def end(error: str | None, state: TrialState = TrialState.FAIL) -> Ended:
    return Ended("r", 0, 0.0, state, failure=Failure.ERROR, error=error)


@pytest.mark.parametrize("error", _OF_THE_MACHINE)
def test_a_node_with_errors_of_its_hardware_takes_no_more_and_that_is_said(error: str) -> None:
    health = Health(limit=2)
    assert health.heard("node", end(error)) is None and not health.closed
    assert "takes no more trials: 2 failed there of its hardware" in (health.heard("node", end(error)) or "")
    assert health.closed == {"node"} and health.heard("node", end(error)) is None


@pytest.mark.parametrize("error", ["ValueError: NaN", "CUDA out of memory", "KeyError: 'ecc'", None])
def test_errors_of_programs_close_nothing(error: str | None) -> None:
    health = Health(limit=1)
    assert health.heard("node", end(error)) is None
    assert health.heard("node", end(_OF_THE_MACHINE[0], TrialState.COMPLETE)) is None and not health.closed
