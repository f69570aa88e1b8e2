"""How values read: numbers, times, parameters, curves; and hostile characters made visible.

Pure functions from values to text, for terminals and documents alike. What came out of a database passes `printable` on
its way to a terminal.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Callable, Mapping, Sequence

_BARS = "▁▂▃▄▅▆▇█"
_MISSING = "–"


def printable(text: str) -> str:
    """`text` on one line: control characters, bidirectional marks and lone surrogates become escapes.

    A study named with a terminal sequence can then neither clear the screen nor set its title.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def readable(found: object) -> str:
    """Text of any number of lines for a page, each `printable`: nothing in it turns the direction or hides the rest."""
    return "\n".join(printable(line) for line in str(found).splitlines())


def shorten(text: str, width: int) -> str:
    """At most `width` characters, the middle left out: the ends of paths and names tell most."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def value(found: object, digits: int = 6) -> str:
    """A parameter, metric or objective value as config files write it; floats to `digits` digits."""
    if found is None or isinstance(found, bool):
        return json.dumps(found)
    if isinstance(found, float):
        return number(found, digits)
    if isinstance(found, str):
        return printable(found) if found else "''"
    if isinstance(found, int):
        return str(found)
    return printable(json.dumps(found, default=str, ensure_ascii=False))


def exact(found: object) -> str:
    """As `value`, with every digit: what a pipe gets."""
    return repr(found) if isinstance(found, float) else value(found)


def number(found: float | None, digits: int = 6) -> str:
    """A float to `digits` significant digits, a dash where there is none."""
    return _MISSING if found is None else f"{found:.{digits}g}"


def assignments(params: Mapping[str, object]) -> str:
    """`lr=0.003 model=cnn`: parameters on one line."""
    return " ".join(f"{printable(name)}={value(found, 4)}" for name, found in params.items())


def domain(distribution: Mapping[str, object], shown: Callable[[object], str] = value) -> str:
    """A distribution, as Optuna's JSON has it, in words: `1e-05 … 0.1, log`, `1 … 8 in steps of 2`, `mlp | cnn`."""
    given = distribution.get("attributes", distribution)
    if not isinstance(given, Mapping):
        return shown(distribution)
    choices = given.get("choices")
    if isinstance(choices, Sequence):
        return " | ".join(shown(choice) for choice in choices)
    words = f"{shown(given.get('low'))} … {shown(given.get('high'))}"
    is_int = "Int" in str(distribution.get("name", ""))
    if is_int:
        words += ", integer"
    step = given.get("step")
    if step is not None and not (is_int and step == 1):
        words += f", in steps of {shown(step)}"
    return f"{words}, log" if given.get("log") else words


def moment(time: float | None) -> str:
    """A time to the second, in UTC and saying so."""
    if time is None:
        return _MISSING
    return datetime.datetime.fromtimestamp(time, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso(time: float | None) -> str | None:
    """A time for programs: ISO 8601, UTC."""
    if time is None:
        return None
    return datetime.datetime.fromtimestamp(time, datetime.UTC).isoformat().replace("+00:00", "Z")


def duration(seconds: float | None) -> str:
    """A length of time in the two units that matter: `0.42 s`, `3 min 12 s`, `2 h 5 min`, `3 d 4 h`."""
    if seconds is None:
        return _MISSING
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.2g} s"
    whole = round(seconds)
    for unit, size, smaller, smaller_size in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if whole >= size:
            rest = whole % size // smaller_size
            return f"{whole // size} {unit} {rest} {smaller}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def ago(time: float | None, now: float) -> str:
    """How long ago, in one unit: `3 min ago`."""
    if time is None:
        return _MISSING
    passed = max(now - time, 0.0)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if passed >= size:
            return f"{int(passed // size)} {unit} ago"
    return f"{int(passed)} s ago"


def size(n_bytes: int | None) -> str:
    """Bytes in the binary unit that keeps it short."""
    if n_bytes is None:
        return _MISSING
    amount = float(n_bytes)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.3g} {unit}"
        amount /= 1024
    return f"{amount:.3g} GiB"


def energy(joules: float | None) -> str:
    """Joules, in the unit that keeps it short: `480 J`, `12.5 Wh`, `3.2 kWh`."""
    if joules is None:
        return _MISSING
    if joules < 3600:
        return f"{joules:.3g} J"
    hours = joules / 3600
    return f"{hours:.3g} Wh" if hours < 1000 else f"{hours / 1000:.3g} kWh"


def count(n: int, singular: str, plural: str | None = None) -> str:
    """`1 trial`, `20 trials`."""
    return f"{n} {singular if n == 1 else plural or singular + 's'}"


def looks(n_looks: int, n_trials: int) -> str:
    """How often test data was looked at; what is chosen by it is no test any more."""
    times = f"{count(n_looks, 'look')} by {count(n_trials, 'trial')}"
    return f"{times}; choosing among them makes them selecting metrics" if n_trials > 1 else times


def sparkline(values: Sequence[float], width: int = 24) -> str:
    """A curve in at most `width` characters, each the mean of its share; a gap where none is finite."""
    if not values:
        return ""
    n = min(width, len(values))
    shares = [values[i * len(values) // n : (i + 1) * len(values) // n] for i in range(n)]
    means = [_mean(share) for share in shares]
    finite = [mean for mean in means if mean is not None]
    if not finite:
        return " " * n
    low, high = min(finite), max(finite)
    span = high / 2 - low / 2  # halves: the difference of two large floats may be infinite
    heights = [None if mean is None else (mean / 2 - low / 2) / span if span else 0.0 for mean in means]
    return "".join(" " if height is None else _BARS[round(height * (len(_BARS) - 1))] for height in heights)


def bar(share: float, width: int = 20) -> str:
    """A bar of `share` (0 to 1) of `width` characters."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")


def _mean(values: Sequence[float]) -> float | None:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return None
    # Divided before summing, and held between its extremes: values near the largest float must not become infinite.
    return min(max(sum(value / len(finite) for value in finite), min(finite)), max(finite))
