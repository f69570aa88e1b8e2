"""Finds before the first trial what would make any trial's config fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from omegaconf import DictConfig

from sweeper.config.compose import Composer
from sweeper.config.explain import key_of
from sweeper.config.resolve import resolve
from sweeper.errors import ConfigError
from sweeper.trial import ParamValue, Resources


class Examples(Protocol):
    """What `check` needs of a search space."""

    def examples(self) -> Iterable[Mapping[str, ParamValue]]: ...

    def overrides(self, params: Mapping[str, ParamValue]) -> tuple[str, ...]: ...


def check(space: Examples, composer: Composer, held_by: Callable[[DictConfig], Resources]) -> tuple[Resources, ...]:
    """Compose and resolve points of the space that between them have every choice and every branch.

    Returns what the trials at these points hold, as `held_by` reads it, each once. Raises ConfigError with all
    problems, one line each that names its key. A key found wrong is left out of the points that follow, so that it
    neither hides other problems nor is told twice.
    """
    problems: dict[str, str] = {}
    needs: dict[Resources, None] = {}
    for point in space.examples():
        overrides = [line for line in space.overrides(point) if key_of(line) not in problems]
        try:
            config = composer.compose(overrides, number=0, job_id="0").config
        except ConfigError:
            problems.update(composer.diagnose(overrides))
            continue
        for work in (resolve, lambda config: needs.setdefault(held_by(config))):
            try:
                work(config)
            except ConfigError as error:
                for line in str(error).splitlines():
                    problems.setdefault(line.split(":", 1)[0], line)
    if problems:
        raise ConfigError("\n".join(problems.values()))
    return tuple(needs)
