"""What decides whether the same code gives the same numbers: seeds, random generators, flags; read in microseconds.

Training code changes it, so it is read when the task begins and again when it has ended. The state of a generator is
recorded as a fingerprint: two runs that drew the same numbers have the same one at the end.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import random
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sweeper.provenance.limit import failed

NEVER = "never seeded"


def state(seeds: Mapping[str, int]) -> dict[str, object]:
    """Seeds as sweeper set them, fingerprints of the generators, and the flags of imported frameworks."""
    found: dict[str, object] = {
        "seeds": {name: seeds.get(name, NEVER) for name in ("random", "numpy", "torch") if _is_here(name)},
        "generators": {name: _read(fingerprint) for name, fingerprint in _GENERATORS.items() if _is_here(name)},
        "hash_seed": hash_seed(),
        "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
    }
    if (torch := sys.modules.get("torch")) is not None:
        found["torch"] = {name: _read(partial(flag, torch)) for name, flag in _TORCH.items()}
    return found


def hash_seed() -> int | str:
    """What orders the sets of this process: the number it was started with, or `random`."""
    if not sys.flags.hash_randomization:
        return 0
    given = _HASH_SEED
    return int(given) if given.isdigit() else "random"


_HASH_SEED = os.environ.get("PYTHONHASHSEED", "")  # as it was when this process began: seeding sets it for children
_VARIABLES = (
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_DETERMINISTIC_OPS",
)


def _is_here(name: str) -> bool:
    return name == "random" or ("numpy.random" if name == "numpy" else name) in sys.modules


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


_GENERATORS: dict[str, Callable[[], str]] = {
    "random": lambda: _digest(pickle.dumps(random.getstate(), protocol=4)),
    "numpy": lambda: _digest(_numpy_state(sys.modules["numpy"])),
    "torch": lambda: _digest(sys.modules["torch"].get_rng_state().numpy().tobytes()),
}

_TORCH: dict[str, Callable[[Any], object]] = {
    "initial_seed": lambda torch: torch.initial_seed(),
    "deterministic_algorithms": lambda torch: torch.are_deterministic_algorithms_enabled(),
    "fill_uninitialized_memory": lambda torch: torch.utils.deterministic.fill_uninitialized_memory,
    "cudnn.enabled": lambda torch: torch.backends.cudnn.enabled,
    "cudnn.deterministic": lambda torch: torch.backends.cudnn.deterministic,
    "cudnn.benchmark": lambda torch: torch.backends.cudnn.benchmark,
    "cudnn.allow_tf32": lambda torch: torch.backends.cudnn.allow_tf32,
    "matmul.allow_tf32": lambda torch: torch.backends.cuda.matmul.allow_tf32,
    "matmul_precision": lambda torch: torch.get_float32_matmul_precision(),
    "default_dtype": lambda torch: str(torch.get_default_dtype()),
    "threads": lambda torch: torch.get_num_threads(),
}


def _numpy_state(numpy: Any) -> bytes:
    name, keys, position, has_gauss, gauss = numpy.random.get_state()
    state: bytes = keys.tobytes()
    return repr((name, position, has_gauss, gauss)).encode() + state


def _read(question: Callable[[], object]) -> object:
    try:
        return question()
    except Exception as error:
        return failed(error)
