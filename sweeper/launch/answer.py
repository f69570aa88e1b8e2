"""What actors answer, awaited where signals are heard."""

from __future__ import annotations

from typing import Any


def answer(asked: Any, timeout_s: float) -> Any:
    """What comes of a call of an actor. Raises RayError where nothing does, or not in that time.

    `ray.get` hears no signal but one that raises KeyboardInterrupt itself: after any other it goes on waiting, and then
    raises SystemError.
    """
    import ray

    try:
        return asked.future().result(timeout_s)
    except ray.exceptions.RayError:
        raise
    except TimeoutError as error:
        raise ray.exceptions.GetTimeoutError(f"no answer within {timeout_s:g} s") from error
