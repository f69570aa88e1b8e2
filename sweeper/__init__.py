"""Hyperparameter sweeps of Hydra apps on Ray, every trial on record in an Optuna-compatible database.

The names below are the whole public list; each is loaded when it is first used, so that importing sweeper is free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeper.errors import (
        ArtifactError,
        ConfigError,
        LaunchError,
        NotFound,
        QueryError,
        StorageError,
        SweeperError,
        TrialsFailed,
    )
    from sweeper.notebook import open  # noqa: A004 -- the public name is sweeper.open
    from sweeper.record import Storage
    from sweeper.run.seed import seed_everything
    from sweeper.run.training import (
        checkpoint_dir,
        log,
        log_test,
        report,
        save_artifact,
        should_prune,
        use_data,
    )
    from sweeper.singlerun import main

__version__ = "0.1.0"

__all__ = [
    "ArtifactError",
    "ConfigError",
    "LaunchError",
    "NotFound",
    "QueryError",
    "Storage",
    "StorageError",
    "SweeperError",
    "TrialsFailed",
    "checkpoint_dir",
    "log",
    "log_test",
    "main",
    "open",
    "report",
    "save_artifact",
    "seed_everything",
    "should_prune",
    "use_data",
]

_ROOMS = {
    "Storage": "sweeper.record",
    "main": "sweeper.singlerun",
    "open": "sweeper.notebook",
    "seed_everything": "sweeper.run.seed",
    **dict.fromkeys(
        (
            "checkpoint_dir",
            "log",
            "log_test",
            "report",
            "save_artifact",
            "should_prune",
            "use_data",
        ),
        "sweeper.run.training",
    ),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'sweeper' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_ROOMS.get(name, "sweeper.errors")), name)
    globals()[name] = value
    return value
