"""What torch, jax, tensorflow and the BLAS libraries are, as far as this process has imported them.

Nothing is imported to be asked: a framework that the training code does not use is no part of what it ran in.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sweeper.provenance.limit import failed

FRAMEWORKS = ("torch", "jax", "tensorflow")


def imported() -> frozenset[str]:
    """The frameworks, and numpy, that this process has imported."""
    return frozenset(name for name in (*FRAMEWORKS, "numpy", "scipy") if name in sys.modules)


def frameworks() -> dict[str, object]:
    """Each imported framework's build: versions of itself, of the CUDA runtime, cuDNN and NCCL."""
    return {name: _READERS[name](sys.modules[name]) for name in FRAMEWORKS if name in sys.modules}


def blas() -> object:
    """Each BLAS and OpenMP library in this process: version, kernel, and how many threads it uses."""
    from threadpoolctl import threadpool_info

    return [
        {
            "library": Path(found["filepath"]).name,
            **{key: found.get(key) for key in ("internal_api", "version", "architecture", "num_threads")},
        }
        for found in sorted(threadpool_info(), key=lambda found: str(found["filepath"]))
    ]


def _torch(torch: Any) -> dict[str, object]:
    return {
        "version": _read(lambda: str(torch.__version__)),
        "commit": _read(lambda: torch.version.git_version),
        "cuda": _read(lambda: torch.version.cuda),
        "hip": _read(lambda: torch.version.hip),
        "cudnn": _read(torch.backends.cudnn.version),
        "nccl": _read(lambda: _dotted(torch.cuda.nccl.version()) if torch.version.cuda else None),
        "build": _read(torch.__config__.show),
        "threads": _read(torch.get_num_threads),
    }


def _jax(jax: Any) -> dict[str, object]:
    jaxlib = sys.modules.get("jaxlib")
    return {
        "version": _read(lambda: jax.__version__),
        "jaxlib": _read(lambda: jaxlib.version.__version__ if jaxlib is not None else None),
        "x64": _read(lambda: bool(jax.config.jax_enable_x64)),
        "matmul_precision": _read(lambda: str(jax.config.jax_default_matmul_precision)),
    }


def _tensorflow(tensorflow: Any) -> dict[str, object]:
    build = _read(lambda: dict(tensorflow.sysconfig.get_build_info()))
    found = build if isinstance(build, dict) else {"cuda_version": build, "cudnn_version": build}
    return {
        "version": _read(lambda: tensorflow.__version__),
        "commit": _read(lambda: tensorflow.version.GIT_VERSION),
        "cuda": found.get("cuda_version"),
        "cudnn": found.get("cudnn_version"),
    }


_READERS: dict[str, Callable[[Any], dict[str, object]]] = {"torch": _torch, "jax": _jax, "tensorflow": _tensorflow}


def _read(question: Callable[[], object]) -> object:
    """An answer, or why there is none: a framework in mid-import, or of an unknown release, hides no other fact."""
    try:
        return question()
    except Exception as error:
        return failed(error)


def _dotted(version: object) -> str:
    return ".".join(map(str, version)) if isinstance(version, tuple) else str(version)
