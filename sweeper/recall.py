"""What earlier launches of a study have measured of the memory of its trials, for a launch that goes on with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import cast

from sweeper.history import History
from sweeper.provenance.secret import masked
from sweeper.trial import ParamValue

Params = Mapping[str, ParamValue]


def peaks(
    history: History, study: str, code: str | None, overrides: Callable[[Params], tuple[str, ...]]
) -> Iterator[tuple[Params, int]]:
    """Parameters and bytes of a card of each trial that was measured and would run alike today.

    It was run with this code (its sha256), and with what `overrides` makes of its parameters: a launch with another
    fixed value, or whose code has been changed since, begins as if nothing were known.
    """
    column = {
        name: history.of_runs(study, name)
        for name in ("peak_gpu_memory_bytes", "gpu_memory_basis", "gpu_share", "code", "overrides")
    }
    for trial in history.trials(study, states=("COMPLETE",)):
        peak, basis, share, of_code, given = (values.get(trial.number) for values in column.values())
        params = cast("Params", trial.params)
        is_its_own = basis == "processes" or (isinstance(share, float) and share >= 1)  # no neighbour is in it
        is_alike = of_code == code is not None and json.loads(str(given)) == masked(list(overrides(params)))
        if isinstance(peak, int) and is_its_own and is_alike:
            yield params, peak
