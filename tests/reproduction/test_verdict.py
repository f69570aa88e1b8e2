"""Each of the five words, and when it is said."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from sweeper.reproduction.verdict import Result, Word, judge

POINTS = st.dictionaries(st.integers(0, 20), st.floats(), min_size=1, max_size=8)
METRICS = st.dictionaries(st.sampled_from(["loss", "acc"]), POINTS, min_size=1)


def result(*points: float, value: float | None = None, state: str = "COMPLETE", **artifacts: str) -> Result:
    last = points[-1] if value is None else value
    return Result(state, (last,), {"acc": dict(enumerate(points))}, artifacts)


@given(METRICS, st.floats())
def test_the_same_numbers_are_identical_also_where_they_are_not_numbers(
    metrics: dict[str, dict[int, float]], value: float
) -> None:
    verdict = judge(Result("COMPLETE", (value,), metrics), Result("COMPLETE", (value,), dict(metrics)), 0.0)
    assert (verdict.word, verdict.step, str(verdict), verdict.holds) == (Word.IDENTICAL, None, "identical", True)


@given(METRICS, st.data())
def test_one_point_that_differs_is_found(metrics: dict[str, dict[int, float]], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(metrics)))
    step = data.draw(st.sampled_from(sorted(metrics[name])))
    value = metrics[name][step]
    other = data.draw(st.floats().filter(lambda x: x != value and not (x != x and value != value)))
    changed = {**metrics, name: {**metrics[name], step: other}}
    verdict = judge(Result("COMPLETE", (), metrics), Result("COMPLETE", (), changed), 0.0)
    assert (verdict.step, verdict.metric, verdict.word) == (step, name, Word.DIVERGED)


def test_within_tolerance() -> None:
    verdict = judge(result(0.5, 0.9), result(0.5, 0.9 + 1e-9), 1e-6)
    assert (verdict.word, verdict.step, verdict.metric) == (Word.TOLERANCE, 1, "acc")
    assert verdict.largest is not None and 0 < verdict.largest < 1e-8


def test_diverged_says_from_where_on() -> None:
    verdict = judge(result(0.5, 0.6, 0.7), result(0.5, 0.61, 0.9), 1e-6)
    assert (str(verdict), verdict.metric, verdict.holds) == ("diverged at step 1", "acc", False)


def test_a_curve_that_ends_early_has_diverged_where_it_ends() -> None:
    verdict = judge(result(0.5, 0.6, 0.7), result(0.5, 0.6), 1.0)
    assert str(verdict) == "diverged at step 2"


def test_seed_noise_counts_only_with_enough_replicates() -> None:
    old, new = result(0.5, 0.90), result(0.5, 0.91)
    assert judge(old, new, 1e-6, [0.90, 0.92]).word == Word.DIVERGED
    assert judge(old, new, 1e-6, [0.90, 0.92, 0.88]).word == Word.NOISE
    assert judge(old, new, 1e-6, [0.9000, 0.9001, 0.9002]).word == Word.DIVERGED


def test_equal_curves_and_another_model_are_not_identical() -> None:
    verdict = judge(result(0.5, model="aa", extra="cc"), result(0.5, model="bb"), 1e-6)
    assert verdict.word == Word.TOLERANCE
    assert verdict.reasons == ("extra is missing", "model has another content")


def test_not_comparable_says_why() -> None:
    for new, why in (
        (result(0.5, state="FAIL"), "the recorded run is COMPLETE, its repetition FAIL"),
        (Result("COMPLETE", (0.5,), {"loss": {0: 1.0}}), "no metric is in both: acc and loss"),
        (Result("COMPLETE", (0.5, 1.0), {}), "the recorded run has 1 values, its repetition 2"),
    ):
        verdict = judge(result(0.5), new, 1e-6)
        assert (verdict.word, verdict.reasons, verdict.holds) == (Word.INCOMPARABLE, (why,), False)
    assert judge(Result("COMPLETE", (), {}), Result("COMPLETE", (), {}), 0.0).word == Word.INCOMPARABLE


def test_a_value_alone_is_compared_as_well() -> None:
    old, new = Result("COMPLETE", (1.0,), {}), Result("COMPLETE", (2.0,), {})
    verdict = judge(old, new, 1e-6)
    assert (str(verdict), verdict.largest, verdict.reasons) == ("diverged", 0.5, ("the value differs",))
    assert judge(Result("COMPLETE", (math.inf,), {}), Result("COMPLETE", (1.0,), {}), 0.1).largest == math.inf
