"""What a run has used of its cards: peaks and sums out of many samples, and a few points of them for the record."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import replace
from typing import Any

from sweeper.run.journal import Journal, journal_path
from sweeper.run.meter import Meter, Sample
from sweeper.trial import Ended, Metered, TrialSpec

_SOONEST_S, _LATEST_S, _FRACTION = 0.25, 60.0, 1 / 20  # between two points: a share of the time that has passed
_NAMES = {  # of a sample -> the metric
    "utilization": "system/gpu_utilization",
    "power_w": "system/gpu_power_w",
    "temperature_c": "system/gpu_temperature_c",
}
_MEMORY = "system/gpu_memory_bytes"


class Telemetry:
    """Of one run, taken by its parent. Its points go into the run's journal beside what the run says itself."""

    def __init__(self, spec: TrialSpec, meter: Meter) -> None:
        self._spec = spec
        self._meter = meter
        self._began = time.monotonic()
        self._first: Sample | None = None
        self._last: Sample | None = None
        self._peak_of_processes: int | None = None
        self._peak_of_cards = 0  # above what was in use when the run began
        self._energy_j: float | None = None
        self._points = 0
        self._point_at = 0.0
        self._journal: Journal | None = None
        with contextlib.suppress(OSError):  # opened before the run writes: opening mends what looks torn
            self._journal = Journal(journal_path(spec.folder, spec.run))
        meter.begin()

    def listen(self) -> bool:
        """Take in what was measured; whether the journal has grown by it. EOFError where nobody measures any more."""
        for sample in self._meter.read():
            self._take(sample)
        if self._last is None or time.monotonic() < self._point_at:
            return False
        return self._write(self._last)

    def counted(self, ended: Ended) -> Ended:
        """The end of the run, with what it has used in all; as it is where nothing could be measured."""
        if self._last is None:
            return ended
        return replace(ended, **self._totals(time.monotonic()))

    def close(self) -> None:
        """The run has ended."""
        self._meter.end()
        if self._journal is not None:
            self._journal.close()

    def _take(self, sample: Sample) -> None:
        first = self._first = self._first or sample
        if sample.memory is not None:
            self._peak_of_processes = max(self._peak_of_processes or 0, sample.memory)
        self._peak_of_cards = max(self._peak_of_cards, sample.memory_of_cards - first.memory_of_cards)
        if sample.energy_j is not None and first.energy_j is not None:
            self._energy_j = sample.energy_j - first.energy_j
        elif sample.power_w is not None:  # an older card, without a counter
            passed_s = 0.0 if self._last is None else sample.time - self._last.time
            self._energy_j = (self._energy_j or 0.0) + sample.power_w * passed_s
        self._last = sample

    def _totals(self, now: float) -> dict[str, Any]:
        held = self._spec.resources
        share, nodes = (1.0, 1) if held is None else (held.gpus, held.nodes)
        is_of_processes = self._peak_of_processes is not None
        return {
            "peak_gpu_memory_bytes": self._peak_of_processes if is_of_processes else self._peak_of_cards,
            "gpu_memory_basis": "processes" if is_of_processes else "cards",
            "gpu_seconds": share * nodes * (now - self._began),
            "energy_j": None if self._energy_j is None else self._energy_j * min(share, 1.0),
        }

    def _write(self, sample: Sample) -> bool:
        elapsed_s = sample.time - self._began
        self._point_at = time.monotonic() + min(_LATEST_S, max(_SOONEST_S, elapsed_s * _FRACTION))
        memory = sample.memory if sample.memory is not None else sample.memory_of_cards
        metrics = {_MEMORY: float(memory)}
        for field, name in _NAMES.items():
            if (value := getattr(sample, field)) is not None:
                metrics[name] = float(value)
        step = math.floor(max(0.0, elapsed_s))
        totals = self._totals(sample.time)
        event = Metered(self._spec.run, self._points, time.time(), step, metrics, **totals)
        self._points += 1
        if self._journal is None:
            return False
        with contextlib.suppress(OSError):  # a full disk: the totals come with the end
            self._journal.append(event)
            return True
        return False
