"""Durations as people write them in a config."""

from __future__ import annotations

import re

from sweeper.errors import ConfigError

_UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str, key: str) -> float:
    """Read a duration: `90`, `90s`, `1.5h`. Raises ConfigError that names `key` for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", str(text).strip())
    if match is None or float(match[1]) == 0:
        raise ConfigError(
            f"{key} is {text!r}; give a positive number of seconds, or one with a unit such as 90s, 30m, 2h or 1d"
        )
    return float(match[1]) * _UNITS_S[match[2]]
