"""Every setting of a sweep: what may stand under `hydra.sweeper`, with its default and its meaning.

These dataclasses are also the structured config that Hydra checks users' keys against, so this module is imported at
every start of every Hydra app: it may import nothing heavy.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, get_type_hints

from omegaconf import MISSING

DEFAULT_STORAGE = "sqlite:///sweeper.db"
DEFAULT_ARTIFACTS = "./artifacts"
REQUIRE = ("nothing", "snapshot", "clean")  # of the code, for a launch to begin


@dataclass
class Plateau:
    """Stop when the best value has not moved by `min_delta` over the last `trials` finished trials."""

    trials: int | None = None
    min_delta: float = 0.0


@dataclass
class Budget:
    """When to stop before `n_trials` is reached. None: no such limit."""

    wall_time: str | None = None  # of this launch: seconds, or 90s, 30m, 2h, 1d
    gpu_hours: float | None = None  # of this launch, with what running trials will still use
    plateau: Plateau = field(default_factory=Plateau)
    max_failures: int | None = None  # failed trials of this launch that are accepted; one more stops it
    max_failure_rate: float | None = None  # the same as a share of this launch's finished trials, once 10 have finished


@dataclass
class Resources:
    """What one trial holds while it runs, on each of its nodes; `${...}` reads the trial's own config."""

    cpus: Any = 1.0
    gpus: Any = 0.0  # 0 | a fraction of one | several | auto: packed by the memory that trials turn out to need
    gpu_memory: Any = None  # of each card, such as 12GiB; without `gpus` the share of a card follows from it
    accelerator: Any = None  # a kind of card such as H100, or a list of those that will do
    label_selector: dict[str, Any] = field(default_factory=dict)  # of nodes, as Ray has them
    custom: dict[str, Any] = field(default_factory=dict)  # custom resources of Ray's
    nodes: Any = 1  # more than one: MASTER_ADDR, MASTER_PORT, RANK and WORLD_SIZE are set on each


@dataclass
class Trial:
    """How long an attempt of a trial may take, and when there is another one. Durations: seconds, or 90s, 30m, 2h."""

    timeout: str | None = None  # the longest one attempt may run
    silence: str | None = None  # the longest it may neither log, report nor print: then it hangs, and is ended
    grace: str = "10s"  # between the request to end (SIGTERM) and SIGKILL
    retries: int = 2  # further attempts of a trial that ended as retry_on says
    retry_on: list[str] = field(default_factory=lambda: ["crashed", "lost"])  # failure kinds
    isolation: str = "process"  # process | spawn


@dataclass
class Ray:
    """Which Ray to use."""

    address: str | None = None  # of a running cluster; None starts a local Ray of this sweep's own
    # on nodes that do not see the driver's folders: where runs' folders lie there; None: below the temporary folder
    scratch: str | None = None


@dataclass
class Share:
    """Of a cluster that several sweeps use at once; amounts are GPUs, or CPUs where trials use no GPU."""

    weight: float = 1.0  # against that of the other sweeps
    priority: int = 0  # a higher one comes first, and preempts trials of lower ones
    min: float = 0.0  # comes before all priorities
    max: float | None = None  # None: whatever nobody else wants


@dataclass
class Snapshot:
    """How much is kept of files that no commit has; what is larger is named and left out."""

    max_file_mib: int = 10
    max_total_mib: int = 100


@dataclass
class Settings:
    """`hydra.sweeper`. Keys of hydra-optuna-sweeper keep their meaning, except that `n_trials` is a total."""

    _target_: str = "hydra_plugins.sweeper_plugin.plugin.Sweeper"
    _recursive_: bool = False  # sampler and pruner are built by us, the same way under Hydra 1.3 and 1.4
    defaults: list[Any] = field(
        default_factory=lambda: ["_self_", {"sampler": "tpe"}, {"pruner": "none"}, {"ray": "local"}]
    )

    sampler: Any = MISSING
    pruner: Any = MISSING
    study_name: str | None = None  # default: the job's name
    storage: str = "${oc.env:SWEEPER_STORAGE," + DEFAULT_STORAGE + "}"
    direction: Any = "minimize"  # minimize | maximize, a list of them, or {name: direction} for a returned mapping
    n_trials: int = 20  # the study's target total: launching again finishes what is missing
    n_jobs: int | None = None  # most trials at once; None: every slot the cluster offers
    max_failure_rate: float | None = None  # hydra-optuna-sweeper's place for budget.max_failure_rate
    budget: Budget = field(default_factory=Budget)
    params: dict[str, Any] = field(default_factory=dict)
    when: dict[str, Any] = field(default_factory=dict)
    custom_search_space: str | None = None  # dotted path of f(cfg, trial)
    enqueue: list[Any] = field(default_factory=list)  # known points to try first
    join: bool = False  # drive a study beside a driver that is at work on it already
    launcher: str = "ray"  # ray | inline
    ray: Ray = field(default_factory=Ray)
    share: Share = field(default_factory=Share)
    resources: Resources = field(default_factory=Resources)
    collect: list[str] = field(default_factory=list)  # patterns of files of a run's folder that are kept, e.g. "*.pt"
    # where they lie: a folder or any URL of fsspec
    artifacts: str = "${oc.env:SWEEPER_ARTIFACTS," + DEFAULT_ARTIFACTS + "}"
    trial: Trial = field(default_factory=Trial)
    require: str = "nothing"  # nothing | snapshot: the code is kept whole | clean: all of it is committed
    snapshot: Snapshot = field(default_factory=Snapshot)
    seed: int | None = None


def unknown_keys(arguments: Sequence[str]) -> list[str]:
    """A sentence for each `hydra.sweeper.KEY=…` of a command line whose key is no setting.

    Hydra itself would advise to add the key with `+`, which helps nobody.
    """
    found = []
    for argument in arguments:
        key, assigned, _ = argument.lstrip("+").partition("=")
        if assigned and key.startswith("hydra.sweeper."):
            found += _misspelt(key, key.split(".")[2:], Settings)
    return found


def _misspelt(key: str, path: list[str], node: Any) -> list[str]:
    known = [field.name for field in fields(node) if field.name not in {"_target_", "_recursive_", "defaults"}]
    if path[0] in {"_target_", "_recursive_"}:
        return []
    if path[0] not in known:
        near = difflib.get_close_matches(path[0], known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        return [f"{key} is no setting; {hint}the settings there are {', '.join(known)}"]
    below = get_type_hints(node)[path[0]]
    return _misspelt(key, path[1:], below) if is_dataclass(below) and len(path) > 1 else []
