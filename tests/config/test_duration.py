from __future__ import annotations

import pytest

from sweeper.config.duration import seconds
from sweeper.errors import ConfigError


@pytest.mark.parametrize(("text", "value"), [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), ("1d", 86400)])
def test_durations(text: str, value: float) -> None:
    assert seconds(text, "key") == value


@pytest.mark.parametrize("text", ["", "-1", "0", "two hours", "1w"])
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^a\.key is .* 2h"):
        seconds(text, "a.key")
