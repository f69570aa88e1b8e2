"""`hydra.sweeper` as it arrives from Hydra, read into Settings and found good."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sweeper.config.settings import REQUIRE, Settings, Share
from sweeper.errors import ConfigError


def read(node: DictConfig) -> Settings:
    """`hydra.sweeper` as Settings. Raises ConfigError with everything that cannot be meant, each with its key."""
    own = OmegaConf.masked_copy(node, [str(key) for key in node if key != "resources"])
    own._set_parent(node._get_parent())
    plain: Any = OmegaConf.to_container(own, resolve=True)  # what a trial holds, its own config says
    known = {name: plain[name] for name in Settings.__dataclass_fields__ if name in plain}
    typed: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Settings), known))
    settings: Settings = typed
    if problems := list(_problems(settings)):
        raise ConfigError("\n".join(problems))
    return settings


def _problems(settings: Settings) -> Iterator[str]:
    if settings.n_trials < 0:
        yield f"hydra.sweeper.n_trials is {settings.n_trials}; it must be 0 or more"
    if settings.n_jobs is not None and settings.n_jobs < 1:
        yield f"hydra.sweeper.n_jobs is {settings.n_jobs}; it must be 1 or more, or null for every slot"
    if settings.launcher not in {"ray", "inline"}:
        yield f"hydra.sweeper.launcher is {settings.launcher!r}; it must be ray or inline"
    if settings.require not in REQUIRE:
        yield f"hydra.sweeper.require is {settings.require!r}; it must be one of {', '.join(REQUIRE)}"
    yield from _of_share(settings.share)
    for pattern in settings.collect:
        if not pattern or pattern.startswith(("/", "~")) or ".." in pattern.split("/"):
            yield (
                f"hydra.sweeper.collect has {pattern!r}; give patterns below a run's folder, such as '*.pt' or "
                "'weights/**'"
            )
    name = settings.study_name
    if name is not None and not (0 < len(name) <= 200 and name.isprintable() and name.strip() == name):
        yield f"hydra.sweeper.study_name is {name!r}; give 1 to 200 printable characters"


def _of_share(share: Share) -> Iterator[str]:
    key, amount = "hydra.sweeper.share", "how many GPUs, or CPUs where trials use no GPU, the sweep"
    if not 0 < share.weight < math.inf:
        yield f"{key}.weight is {share.weight:g}; it must be above 0: 2 gets twice what 1 gets"
    if not 0 <= share.min < math.inf:
        yield f"{key}.min is {share.min:g}; give {amount} has in any case, from 0"
    if share.max is not None and not 0 < share.max < math.inf:
        yield f"{key}.max is {share.max:g}; give {amount} holds at most, above 0, or null for no limit"
    elif share.max is not None and share.min > share.max:
        yield f"{key}.min is {share.min:g}, above {key}.max, which is {share.max:g}"
