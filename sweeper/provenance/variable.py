"""The environment variables that bear on numbers, and no others: what is not on the list is never looked at.

A list of what to leave out would be wrong with the first secret that is called otherwise.
"""

from __future__ import annotations

import os
from functools import lru_cache

from sweeper.provenance.secret import MASK, is_secret, masked_text

_PREFIXES = (
    "CUDA_", "CUBLAS_", "CUDNN_", "NCCL_", "NVIDIA_", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "GOTO_", "BLIS_",
    "NUMEXPR_", "VECLIB_", "TORCH_", "PYTORCH_", "TF_DETERMINISTIC_", "TF_CUDNN_", "TF_ENABLE_", "TF_XLA_", "TF_GPU_",
    "XLA_", "JAX_", "HYDRA_", "PYTHON", "MALLOC_",
)  # fmt: skip
_NAMES = frozenset({"LD_LIBRARY_PATH", "LD_PRELOAD", "LANG", "LC_ALL", "TZ", "TOKENIZERS_PARALLELISM"})
_OF_THE_RUN = frozenset({"CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "PYTHONHASHSEED"})  # recorded with each run
_OF_THE_PLACE = frozenset({"LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONSTARTUP"})


def variables() -> dict[str, str]:
    """Name -> value, secrets masked."""
    listed = [name for name in sorted(os.environ) if _is_listed(name)]
    return {name: MASK if is_secret(name) else masked_text(os.environ[name]) for name in listed}


@lru_cache(maxsize=1024)  # asked twice in every run, and answered before a trial's process is forked
def _is_listed(name: str) -> bool:
    return (name.startswith(_PREFIXES) or name in _NAMES) and name not in _OF_THE_RUN


def is_portable(name: str) -> bool:
    """Whether the same value means the same on another machine: a path does not."""
    return name not in _OF_THE_PLACE
