from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper import text


@given(st.text(alphabet=st.characters()))
def test_printable_text_is_one_harmless_line_that_loses_nothing(given_text: str) -> None:
    shown = text.printable(given_text)
    assert shown.isprintable() and "\n" not in shown
    shown.encode("utf-8")
    assert given_text.isprintable() == (shown == given_text)


@pytest.mark.parametrize(
    ("value", "short", "exact"),
    [
        (0.1 + 0.2, "0.3", "0.30000000000000004"),
        (1e-5, "1e-05", "1e-05"),
        (12345678.0, "1.23457e+07", "12345678.0"),
        (123456789, "123456789", "123456789"),
        (True, "true", "true"),
        (None, "null", "null"),
        ("", "''", "''"),
        ("a b", "a b", "a b"),
        ([1, "x"], '[1, "x"]', '[1, "x"]'),
        (math.inf, "inf", "inf"),
        (math.nan, "nan", "nan"),
    ],
)
def test_values(value: object, short: str, exact: str) -> None:
    assert text.value(value) == short
    assert text.exact(value) == exact


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "–"),
        (-1.0, "0 s"),
        (0.0421, "0.042 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (192, "3 min 12 s"),
        (7500, "2 h 5 min"),
        (86400 * 3 + 3600 * 4, "3 d 4 h"),
    ],
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(
    ("joules", "shown"), [(None, "–"), (480.0, "480 J"), (45_000.0, "12.5 Wh"), (11.52e6, "3.2 kWh")]
)
def test_energies(joules: float | None, shown: str) -> None:
    assert text.energy(joules) == shown


def test_times_name_their_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert text.moment(0.0) == "1970-01-01 00:00:00 UTC"
    assert text.iso(0.5) == "1970-01-01T00:00:00.500000Z"
    assert text.ago(0.0, 7300.0) == "2 h ago" and text.ago(10.0, 5.0) == "0 s ago"


@given(st.text(), st.integers(5, 40))
def test_shortened_text_keeps_its_ends(given_text: str, width: int) -> None:
    shown = text.shorten(given_text, width)
    assert len(shown) <= width
    assert (shown == given_text) if len(given_text) <= width else (shown[0] == given_text[0])
    assert not given_text or shown[-1] == given_text[-1]


@given(st.lists(st.floats(), max_size=200), st.integers(1, 30))
def test_sparklines_never_fail_and_keep_their_width(values: list[float], width: int) -> None:
    assert len(text.sparkline(values, width)) == min(len(values), width)


def test_sparklines_rise_and_leave_gaps() -> None:
    assert text.sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert text.sparkline([0, math.nan, 7]) == "▁ █"
    assert text.sparkline([5, 5]) == "▁▁"
    assert text.sparkline([0, 0, 7, 7], width=2) == "▁█"


@pytest.mark.parametrize(("share", "bar"), [(0.0, ""), (1.0, "██████████"), (0.5, "█████"), (0.55, "█████▌"), (-1, "")])
def test_bars(share: float, bar: str) -> None:
    assert text.bar(share, 10) == bar


def test_sizes_and_counts() -> None:
    assert [text.size(n) for n in (None, 0, 1536, 2**29, 3 * 2**40)] == [
        "–",
        "0 B",
        "1.5 KiB",
        "512 MiB",
        "3.07e+03 GiB",
    ]
    assert text.count(1, "trial") == "1 trial" and text.count(0, "trial") == "0 trials"
    assert text.count(2, "study", "studies") == "2 studies"
