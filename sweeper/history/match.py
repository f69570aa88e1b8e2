"""What a comparison of a query means for values of Python: numbers with numbers, versions with versions, else text."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeGuard

from sweeper.history.query import Value

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_IN_ENVIRONMENT = {
    "python": ("python", "version"),
    "driver": ("gpus", "driver"),
    "cuda": ("gpus", "cuda_driver"),
    "os": ("system", "distribution"),
    "kernel": ("system", "kernel"),
    "cpu": ("cpu", "model"),
}

MISSING = object()  # stands for what a document does not have


def holds(found: Any, sign: str, value: Value) -> bool:
    """Compare values of Python as a query means it: numbers with numbers, anything else as text."""
    if found is MISSING:
        return (sign, value) == ("=", None)
    if value is None or found is None:
        return (found is value) == (sign == "=") if sign in ("=", "!=") else False
    if sign == "~":
        return str(value).lower() in str(found).lower()
    if isinstance(found, bool) or isinstance(value, bool):
        same = found is value
        return same if sign == "=" else not same if sign == "!=" else False
    if is_number(found) != is_number(value):
        found, value = str(found), str(value)
    return bool(OPERATORS[sign](found, value))


def holds_version(found: Any, sign: str, value: Value) -> bool:
    """As `holds`, with 2.10 above 2.9 where both are versions."""
    from packaging.version import InvalidVersion, Version  # 20 ms, for those who ask for versions

    if sign != "~" and isinstance(found, str) and value is not None and not isinstance(value, bool):
        try:
            return bool(OPERATORS[sign](Version(found), Version(str(value))))
        except InvalidVersion:
            pass
    return holds(found, sign, value)


def of_environment(document: dict[str, Any], key: str) -> list[Any]:
    """What an environment says under a key: one value, or one for each GPU."""
    kind, _, package = key.partition(" ")
    if kind == "package":
        name = package.lower().replace("_", "-").replace(".", "-")
        return [at(document, ["packages", name])]
    if kind == "gpu":
        visible = at(document, ["gpus", "visible"])
        return [gpu.get("name") for gpu in visible] if isinstance(visible, list) and visible else [MISSING]
    return [at(document, list(_IN_ENVIRONMENT[kind]))]


def at(document: Any, keys: list[str]) -> Any:
    """What stands under dotted keys; a key may itself hold dots."""
    if not keys:
        return document
    if not isinstance(document, dict):
        return MISSING
    for i in range(1, len(keys) + 1):
        name = ".".join(keys[:i])
        if name in document:
            return at(document[name], keys[i:])
    return MISSING


def is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
