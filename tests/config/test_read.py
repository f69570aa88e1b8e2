from __future__ import annotations

from typing import Any

import pytest
from omegaconf import OmegaConf

from sweeper.config.read import read
from sweeper.config.settings import Settings
from sweeper.errors import ConfigError


def share(**given: Any) -> Any:
    node = OmegaConf.merge(OmegaConf.structured(Settings), {"share": given, "storage": "", "artifacts": ""})
    for name in ("sampler", "pruner"):
        node[name] = {}
    return read(node).share  # type: ignore[arg-type]


def test_a_share_is_equal_to_others_and_unlimited_unless_said() -> None:
    found = share()

    assert (found.weight, found.priority, found.min, found.max) == (1, 0, 0, None)
    assert share(weight=2, priority=-1, min=1, max=4).max == 4


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"weight": 0}, "hydra.sweeper.share.weight is 0; it must be above 0"),
        ({"weight": float("nan")}, "hydra.sweeper.share.weight is nan; it must be above 0"),
        ({"min": -1}, "hydra.sweeper.share.min is -1; give how many GPUs"),
        ({"max": 0}, "hydra.sweeper.share.max is 0; give how many GPUs"),
        ({"min": 4, "max": 2}, "hydra.sweeper.share.min is 4, above hydra.sweeper.share.max, which is 2"),
    ],
)
def test_what_cannot_be_a_share_is_said(given: dict[str, float], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence.replace(".", r"\.")):
        share(**given)
