"""Where two documents of plain data differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

Path = tuple[str, ...]


def differences(old: object, new: object, at: Path = ()) -> Iterator[tuple[Path, object, object]]:
    """Paths of values that differ, with both; a value that is missing counts as None."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            yield from differences(old.get(key), new.get(key), (*at, str(key)))
    elif old != new and not (old != old and new != new):
        yield at, old, new


def told(found: Iterable[tuple[Path, object, object]]) -> Iterator[str]:
    """A line for each value that differs: `packages.numpy: 2.1.0, now 2.2.0`."""
    return (f"{'.'.join(path)}: {_shown(old)}, now {_shown(new)}" for path, old, new in found)


def _shown(value: object) -> str:
    if value is None:
        return "none"
    text = str(value)
    return text if len(text) <= 100 else text[:97] + "…"
