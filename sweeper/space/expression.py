"""One expression of Hydra's override grammar: read, checked, made an Optuna distribution; values as text."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal
from functools import wraps
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser, create_functions
from hydra.core.override_parser.types import (
    Glob,
    IntervalSweep,
    Override,
    Quote,
    QuotedString,
    RangeSweep,
    Sweep,
    Transformer,
)
from hydra.errors import HydraException
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from sweeper.errors import ConfigError
from sweeper.trial import ParamValue

EXACT_INT = 2**53  # databases and samplers keep numbers as doubles: from here on an int may come back as another
MOST_CHOICES = 1000
LONGEST_SHOWN = 120  # characters of an override in a message

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:[./][A-Za-z0-9_-]+)*")
_WORDS = frozenset({"null", "true", "false", "inf", "nan"})  # what Hydra reads as something else than a string


def create_parser(config_loader: ConfigLoader) -> OverridesParser:
    """Hydra's parser, but it reads `choice(null)`, and refuses bounds that Hydra would silently round."""
    functions = create_functions()
    anything = inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL, annotation=Any)
    functions.definitions["choice"] = inspect.Signature([anything])
    for name in ("interval", "range"):
        functions.functions[name] = _numbers_only(functions.functions[name])
    functions.functions["int"] = _cast(functions.functions["int"], int)
    functions.functions["float"] = _cast(functions.functions["float"], float)
    return OverridesParser(functions=functions, config_loader=config_loader)


def _numbers_only(function: Any) -> Any:
    @wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if any(isinstance(bound, bool) for bound in (*args, *kwargs.values())):
            raise TypeError("bounds are numbers, not true or false")
        return function(*args, **kwargs)

    return checked


def _cast(function: Any, kind: type[int] | type[float]) -> Any:
    """`int(…)` and `float(…)`: of a range they cast its bounds, and no bound loses its fraction unseen."""

    @wraps(function)
    def cast(*args: Any, **kwargs: Any) -> Any:
        sweep = kwargs.get("value", args[0] if len(args) == 1 else None)
        bounds: dict[str, Any] = {}
        if isinstance(sweep, RangeSweep):
            bounds = {"start": sweep.start, "stop": sweep.stop, "step": sweep.step}
        elif isinstance(sweep, IntervalSweep):
            bounds = {"start": sweep.start, "end": sweep.end}
        for bound in bounds.values():
            if kind is int and not float(bound).is_integer():
                raise ValueError(f"{bound} is no whole number, as int(…) needs")
        if isinstance(sweep, RangeSweep):
            casted: dict[str, Any] = {name: kind(bound) for name, bound in bounds.items()}
            return replace(sweep, **casted)
        return function(*args, **kwargs)

    return cast


def read(parser: OverridesParser, line: str) -> Override:
    """Parse one override. Raises ConfigError with the line and one reason if it is not in Hydra's grammar."""
    try:
        override = parser.parse_overrides([line])[0]
    except (HydraException, RecursionError) as error:
        raise ConfigError(f"{shorten(line)}: {_reason(error)}") from None
    if override.key_or_group == "":
        raise ConfigError(f"{line}: the key before '=' is missing; write key=value")
    return override


def shorten(line: str) -> str:
    """An override for use in a message: what is very long is cut."""
    return line if len(line) <= LONGEST_SHOWN else f"{line[:LONGEST_SHOWN]}…"


def _reason(error: Exception) -> str:
    """What Hydra's parser errors mean, which span lines and list token names, as the end of one sentence."""
    if isinstance(error, RecursionError):
        return "brackets are nested too deeply"
    skipped = ("See https://", "Error parsing override", "Error when parsing index")
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" ^") and not line.startswith(skipped)]
    text = " ".join(lines)
    if evaluating := re.match(r"\w+ while evaluating '.*?': (.*)", text):
        return evaluating[1].rstrip(".")
    if text.startswith("LexerNoViableAltException"):
        return "a quote is not closed, or a character needs quotes, as in key='a b'"
    if "'<EOF>'" in text and "expecting <EOF>" not in text:
        return "it ends too early; a value, a bracket or a '=' is missing"
    return f"{shorten(text.split(' expecting ')[0])}; quote a value with special characters, as in key='a,b'"


def is_sweep(override: Override) -> bool:
    """Whether there is something to choose. A sweep inside a list or dict is refused: nobody expands it."""
    if not override.is_sweep_override() and _holds_sweep(override.value()):
        line = shorten(override.input_line or "")
        raise ConfigError(f"{line}: a sweep cannot stand inside a list or dict; use choice([…], […])")
    return override.is_sweep_override()


def _holds_sweep(value: object) -> bool:
    if isinstance(value, list):
        return any(map(_holds_sweep, value))
    if isinstance(value, dict):
        return any(map(_holds_sweep, value.values()))
    return isinstance(value, (Sweep, Glob))


def create_distribution(override: Override, options: Sequence[str]) -> tuple[BaseDistribution, frozenset[str]]:
    """The distribution of a swept override, and those of its choices that are the text of a list or dict.

    `options` are the config names in the group that the override's key selects from; empty if it is no group.
    Raises ConfigError with the reason alone (the caller knows key and expression).
    """
    value: Any = override.value()
    if isinstance(value, IntervalSweep):
        return _from_interval(value), frozenset()
    if isinstance(value, RangeSweep):
        return _from_range(value), frozenset()
    if isinstance(value, Glob):
        return _from_choices(_matching(value, options))
    if options:
        _check_options(value.list, options)
    return _from_choices(value.list)


def constant_distribution(value: object) -> tuple[BaseDistribution, frozenset[str]]:
    """The distribution of a value that is fixed, but only in one branch of the space: one choice."""
    return _from_choices([value])


def _from_interval(sweep: IntervalSweep) -> BaseDistribution:
    low, high = sweep.start, sweep.end
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        raise ConfigError("bounds must be finite numbers")
    if low > high:
        raise ConfigError(f"low {low!r} is above high {high!r}; write interval(low, high)")
    if not math.isfinite(float(high) - float(low)):
        raise ConfigError("the distance of the bounds overflows a double; narrow the interval")
    log = "log" in sweep.tags
    if isinstance(low, int) and isinstance(high, int):
        _check_exact(low, high)
        if log and low < 1:
            raise ConfigError(f"a log scale of ints starts at 1 or above, not at {low}")
        return IntDistribution(low, high, log=log)
    if low == high:
        raise ConfigError(f"the interval is empty; to fix the value write {low!r} alone")
    if log and low <= 0:
        raise ConfigError(f"a log scale starts above 0, not at {low!r}; try a small low, such as {high * 1e-4:.0e}")
    return FloatDistribution(low, high, log=log)


def _from_range(sweep: RangeSweep) -> BaseDistribution:
    """`stop` is excluded. Float ranges count in decimals, so that range(0, 0.9, 0.3) has 3 values."""
    start, stop, step = sweep.start, sweep.stop, sweep.step
    if start is None or stop is None or not all(map(math.isfinite, (start, stop, step))):
        raise ConfigError("bounds and step must be finite numbers")
    if step == 0:
        raise ConfigError("step 0 leads nowhere; use a step other than 0")
    if "log" in sweep.tags and (step != 1 or not isinstance(start, int) or start < 1):
        raise ConfigError("a log scale needs whole steps of 1 from 1 or above; use tag(log, interval(low, high))")
    if isinstance(start, int) and isinstance(stop, int) and isinstance(step, int):
        whole = range(start, stop, step)
        if not whole:
            raise ConfigError(_empty_range(start, stop, step))
        _check_exact(whole[0], whole[-1])
        low, high = sorted((whole[0], whole[-1]))
        return IntDistribution(low, high, step=abs(step), log="log" in sweep.tags)
    first, end, stride = (Decimal(repr(float(number))) for number in (start, stop, step))
    steps = ((end - first) / stride).to_integral_value(ROUND_CEILING)
    if steps < 1:
        raise ConfigError(_empty_range(start, stop, step))
    low_float, high_float = sorted((float(first), float(first + (steps - 1) * stride)))
    return FloatDistribution(low_float, high_float, step=abs(float(step)))


def _empty_range(start: float, stop: float, step: float) -> str:
    return f"the range is empty: from {start!r} by {step!r} nothing lies before {stop!r}, itself excluded"


def _matching(glob: Glob, options: Sequence[str]) -> list[str]:
    if not options:
        raise ConfigError("glob(…) chooses among the files of a config group, and there is no such group")
    names: list[str] = glob.filter(list(options))
    if not names:
        raise ConfigError(f"the glob matches nothing; the group has {', '.join(options)}")
    return names


def _check_options(choices: Sequence[object], options: Sequence[str]) -> None:
    """Choices of a config group are its files, or lists of them. A path into a subgroup is let pass."""
    for choice in choices:
        for name in choice if isinstance(choice, list) else [choice]:
            text = name.text if isinstance(name, QuotedString) else name
            if isinstance(text, dict) or (isinstance(text, str) and (text in options or "/" in text)):
                continue
            hint = f"; write '{text}' in quotes" if str(text) in options else ""
            raise ConfigError(f"the config group has no {text!r}, it has {', '.join(options)}{hint}")


def _from_choices(values: Sequence[object]) -> tuple[BaseDistribution, frozenset[str]]:
    if not values:
        raise ConfigError("there is nothing to choose from; write choice(a, b)")
    if len(values) > MOST_CHOICES:
        raise ConfigError(f"{len(values)} choices are more than the {MOST_CHOICES} allowed; use range(…) for numbers")
    choices: list[ParamValue] = []
    literals: set[str] = set()
    for value in values:
        choice = _storable(value)
        _check_distinct(choice, isinstance(value, (list, dict)), choices, literals)
        choices.append(choice)
        if isinstance(value, (list, dict)):
            literals.add(str(choice))
    return CategoricalDistribution(choices), frozenset(literals)


def _storable(value: Any) -> ParamValue:
    """A choice as the database has it. Lists and dicts are kept as their override text."""
    if _holds_sweep(value):
        raise ConfigError("a sweep cannot be a choice of another sweep")
    if isinstance(value, (list, dict)):
        return str(Transformer.str(value))
    plain = value.text if isinstance(value, QuotedString) else value
    if isinstance(plain, float) and not math.isfinite(plain):
        raise ConfigError(f"{plain!r} is no finite number; leave it out")
    if isinstance(plain, int):
        _check_exact(plain)
    if isinstance(plain, str):
        _check_text(plain)
    result: ParamValue = plain
    return result


def _check_text(text: str) -> None:
    if text == "???":
        raise ConfigError("'???' means a missing value to Hydra; choose null for none")
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ConfigError(f"{text!r} has a character that no database keeps")


def _check_exact(*numbers: int) -> None:
    for number in numbers:
        if abs(number) >= EXACT_INT:
            raise ConfigError(f"{number} is beyond ±(2^53 - 1), where whole numbers are kept exactly; use smaller ones")


def _check_distinct(choice: ParamValue, is_literal: bool, choices: Sequence[ParamValue], literals: set[str]) -> None:
    for other in choices:
        if choice != other:
            continue
        if type(choice) is not type(other):
            raise ConfigError(f"choices {other!r} and {choice!r} are equal but of different type; keep one of them")
        if is_literal != (other in literals):
            raise ConfigError(f"choice {choice} stands there as text and as a value; keep one of them")
        raise ConfigError(f"choice {choice!r} stands there twice; keep it once")


def to_text(value: object) -> str:
    """A value as Hydra's grammar reads it back, type included. Strings are quoted where they have to be."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(to_text, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{Transformer.str(key)}:{to_text(below)}' for key, below in value.items())}}}"
    text = str(value)
    if _BARE.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return QuotedString(text=text, quote=Quote.single).with_quotes()
