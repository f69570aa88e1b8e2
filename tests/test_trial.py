"""Measurements that travel together are what they were."""

from __future__ import annotations

import math
import pickle

from hypothesis import given
from hypothesis import strategies as st

from sweeper.trial import Event, Looked, Measured, behind, lines_of
from tests.events import apart, together

RUN = "a" * 32
names = st.sampled_from(["loss", "acc", 'quoted "loss":', 'x"loss', "line\nbreak", "\\", "é ∞ 🙂", "}", ","])
values = st.floats(allow_nan=False)
measured = st.lists(
    st.tuples(st.floats(0, 2e9), st.integers(-(2**63), 2**63 - 1), st.dictionaries(names, values, min_size=1)),
    min_size=1,
    max_size=8,
).map(lambda given: [Measured(RUN, seq, *rest) for seq, rest in enumerate(given)])


@given(measured)
def test_the_points_of_each_set_of_names_are_there_in_order(events: list[Measured]) -> None:
    found = []
    for series in together(events).series:
        width = len(series.names)
        for place, (seq, time, step) in enumerate(zip(series.seqs, series.times, series.steps, strict=True)):
            own = series.values[place * width : (place + 1) * width]
            found.append(Measured(RUN, seq, time, step, dict(zip(series.names, own, strict=True))))
        assert series.seqs == sorted(series.seqs)

    assert sorted(found, key=lambda event: event.seq) == events


def test_nan_and_infinities_are_kept() -> None:
    (series,) = together([Measured(RUN, 0, 0.0, 1, {"a": math.nan, "b": math.inf, "c": -math.inf})]).series

    assert math.isnan(series.values[0]) and series.values[1:] == [math.inf, -math.inf]


@given(measured)
def test_the_latest_has_the_last_value_of_every_name(events: list[Measured]) -> None:
    metrics: dict[str, float] = {}
    for event in events:
        metrics |= event.metrics

    last = events[-1]
    logged = together(events)
    assert logged.latest() == Measured(RUN, last.seq, last.time, last.step, metrics)
    assert (logged.seq, logged.time) == (last.seq, last.time)


@given(measured, st.integers(-1, 12))
def test_who_has_heard_some_lines_hears_the_others(events: list[Measured], heard: int) -> None:
    look = Looked(RUN, len(events), 0.0, None, {"loss": 1.0})
    said: list[Event] = [together(events), look, together(events)]

    assert lines_of(said) == len(apart(said))
    assert apart(behind(said, heard)) == apart(said)[max(0, heard) :]


def test_what_was_read_of_them_does_not_travel() -> None:
    logged = together([Measured(RUN, seq, 0.0, seq, {"loss": 0.5}) for seq in range(100)])
    size = len(pickle.dumps(logged))

    assert len(logged.series) == 1
    assert len(pickle.dumps(logged)) == size
    assert pickle.loads(pickle.dumps(logged)) == logged
