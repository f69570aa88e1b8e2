"""What a task's return value or exception means: objective values, or the words for why there are none."""

from __future__ import annotations

import contextlib
import math
import reprlib
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from pathlib import Path
from types import TracebackType

from optuna import TrialPruned
from optuna.trial import TrialState

from sweeper.run.cost import COSTS
from sweeper.trial import Failure, TrialSpec

_ROOM = Path(__file__).parent
_SHOWN = 60  # characters of a value in a message


@dataclass(frozen=True, slots=True)
class Outcome:
    """The part of `Ended` that training code decides."""

    state: TrialState
    values: tuple[float, ...] | None = None
    failure: Failure | None = None
    error: str | None = None
    traceback: str | None = None
    metrics: Mapping[str, float] | None = None


class Interruption(KeyboardInterrupt):
    """Raised in training code that is to end, where nothing stronger can be done: it shares its process with us."""

    def __init__(self, failure: Failure, text: str) -> None:
        super().__init__(text)
        self.failure = failure
        self.text = text


class InvalidValue(Exception):
    """The task returned something that is no objective value; the text says what, and what is allowed."""


def of_return(returned: object, spec: TrialSpec) -> Outcome:
    """COMPLETE with the values of `returned`, or FAIL with failure kind invalid_value."""
    try:
        values, metrics = _values(returned, spec)
    except InvalidValue as error:
        return Outcome(TrialState.FAIL, failure=Failure.INVALID_VALUE, error=str(error))
    except Exception as error:  # a value with methods of its own, which raise
        text = f"the task returned {_shown(returned)}, which cannot be read ({_one_line(error)}); {_wanted(spec)}"
        return Outcome(TrialState.FAIL, failure=Failure.INVALID_VALUE, error=text)
    return Outcome(TrialState.COMPLETE, values=values, metrics=metrics)


def of_exception(error: BaseException) -> Outcome:
    """PRUNED for `optuna.TrialPruned`, else FAIL with its kind, a line of text and the traceback."""
    if isinstance(error, TrialPruned):
        return Outcome(TrialState.PRUNED)
    if isinstance(error, Interruption):
        line = error.text
    elif isinstance(error, SystemExit):
        line = f"the task called sys.exit({_short(error.code)}); return the objective instead"
    else:
        line = _one_line(error)
    return Outcome(
        TrialState.FAIL,
        failure=_kind(error),
        error=line,
        traceback="".join(traceback.format_exception(type(error), error, _frames_of_the_task(error.__traceback__))),
    )


def _frames_of_the_task(frames: TracebackType | None) -> TracebackType | None:
    """The frames from the task's own on; all of them where the error is none of the task's."""
    own = frames
    while own is not None and Path(own.tb_frame.f_code.co_filename).parent == _ROOM:
        own = own.tb_next
    return own or frames


def _one_line(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except BaseException as second:  # its own __str__ raises; what it is must be told all the same
        text = f"(its text cannot be had: {type(second).__name__})"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _kind(error: BaseException) -> Failure:
    if isinstance(error, Interruption):
        return error.failure
    if isinstance(error, KeyboardInterrupt):
        return Failure.STOPPED
    return Failure.OOM if _is_out_of_memory(error) else Failure.ERROR


def _is_out_of_memory(error: BaseException) -> bool:
    """By class or, for frameworks that importing only to ask would cost seconds, by name and text."""
    if isinstance(error, MemoryError):
        return True
    names = {base.__name__ for base in type(error).__mro__}
    if names & {"OutOfMemoryError", "ResourceExhaustedError"}:  # torch and cupy; TensorFlow
        return True
    text = _one_line(error)
    if "RuntimeError" in names and ("CUDA out of memory" in text or "CUBLAS_STATUS_ALLOC_FAILED" in text):
        return True
    if "XlaRuntimeError" in names and "RESOURCE_EXHAUSTED" in text:
        return True
    return error.__cause__ is not None and error.__cause__ is not error and _is_out_of_memory(error.__cause__)


def _values(returned: object, spec: TrialSpec) -> tuple[tuple[float, ...], dict[str, float]]:
    wanted = _wanted(spec)
    own = _of_the_task(spec)
    if len(own) == 1 and len(spec.metric_names) > 1 and not isinstance(returned, Mapping | Sequence):
        returned = {own[0]: returned}  # the others are costs, which it does not know
    if isinstance(returned, Mapping):
        return _values_of_mapping(returned, spec, wanted)
    if spec.directions == 1:
        return (_number(returned, "the task returned", wanted),), {}
    if isinstance(returned, str | bytes) or not isinstance(returned, Sequence):
        raise InvalidValue(f"the task returned {_shown(returned)}; {wanted}")
    if len(returned) != spec.directions:
        raise InvalidValue(f"the task returned {len(returned)} values; {wanted}")
    return tuple(_number(x, f"value {i} is", wanted) for i, x in enumerate(returned)), {}


def _values_of_mapping(
    returned: Mapping[object, object], spec: TrialSpec, wanted: str
) -> tuple[tuple[float, ...], dict[str, float]]:
    if not spec.metric_names:
        raise InvalidValue(
            f"the task returned a mapping with the keys {', '.join(map(str, returned)) or 'none'}; say which "
            "one is the objective with hydra.sweeper.direction={NAME: minimize} or return the number itself"
        )
    missing = [name for name in _of_the_task(spec) if name not in returned]
    if missing:
        raise InvalidValue(f"the returned mapping lacks {', '.join(missing)}; {wanted}")
    values = tuple(
        _number(returned[name], f"{name} is", wanted) if name in returned else math.nan for name in spec.metric_names
    )
    return values, dict(_further(returned))


def _further(returned: Mapping[object, object]) -> Iterator[tuple[str, float]]:
    """The numbers of a returned mapping, each as a metric."""
    for key, value in returned.items():
        if isinstance(value, Real | Decimal):
            with contextlib.suppress(OverflowError, ValueError):  # an integer beyond a float; a signalling NaN
                yield str(key), float(value)


def _of_the_task(spec: TrialSpec) -> list[str]:
    """The objectives that the task must return: the engine measures the others."""
    return [name for name in spec.metric_names if name not in COSTS]


def _wanted(spec: TrialSpec) -> str:
    if spec.metric_names:
        return f"it must return a mapping with a finite number for each of: {', '.join(_of_the_task(spec))}"
    if spec.directions > 1:
        return f"it must return {spec.directions} numbers, one for each direction"
    return "it must return one number, the objective"


def _number(value: object, what: str, wanted: str) -> float:
    scalar = _scalar(value)
    if isinstance(scalar, bool) or not isinstance(scalar, Real | Decimal):
        raise InvalidValue(f"{what} {_shown(value)}; {wanted}")
    try:
        number = float(scalar)
    except OverflowError as error:
        raise InvalidValue(f"{what} an integer too large for a float; {wanted}") from error
    if math.isnan(number):
        raise InvalidValue(f"{what} NaN; {wanted}")
    return number


def _scalar(value: object) -> object:
    """numpy scalars and 0-d arrays and tensors give their number; anything else is itself."""
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    return value


def _shown(value: object) -> str:
    return "None" if value is None else f"{type(value).__name__} {_short(value)}"


def _short(value: object) -> str:
    """A repr that takes no more time or memory for a large value, and none of whose errors gets out."""
    try:
        text = reprlib.repr(value)
    except Exception:
        text = "without a readable repr"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
