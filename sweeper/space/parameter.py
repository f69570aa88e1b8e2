"""One dimension of the search space, and the condition under which a trial has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import BaseTrial

from sweeper.errors import ConfigError
from sweeper.space.expression import to_text
from sweeper.trial import ParamValue


def is_same(one: object, other: object) -> bool:
    """Equal and of one type: 1, 1.0 and True are three values."""
    return type(one) is type(other) and one == other


@dataclass(frozen=True, slots=True)
class Condition:
    """True for a trial in which parameter `name` has one of `values`."""

    name: str
    values: tuple[ParamValue, ...]

    def holds(self, params: Mapping[str, ParamValue]) -> bool:
        return self.name in params and any(is_same(params[self.name], value) for value in self.values)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A name (Hydra's key element: `lr`, `+new.key`, `db@pkg`), its expression and its distribution."""

    name: str
    expression: str
    distribution: BaseDistribution
    literals: frozenset[str] = frozenset()  # choices that are the text of a list or dict
    conditions: tuple[Condition, ...] = ()  # none: every trial has it; else those where any of them holds
    is_plain: bool = True  # sets one config value; else it selects a config group, adds or has a package

    def is_active(self, params: Mapping[str, ParamValue]) -> bool:
        return not self.conditions or any(condition.holds(params) for condition in self.conditions)

    def suggest(self, trial: BaseTrial) -> ParamValue:
        """Ask the trial for a value, as the type the task will see: an enqueued 1 may stand for 1.0."""
        distribution = self.distribution
        if isinstance(distribution, FloatDistribution):
            low, high, step, log = distribution.low, distribution.high, distribution.step, distribution.log
            return float(trial.suggest_float(self.name, low, high, step=step, log=log))
        if isinstance(distribution, IntDistribution):
            bounds = distribution.low, distribution.high
            return int(trial.suggest_int(self.name, *bounds, step=distribution.step, log=distribution.log))
        assert isinstance(distribution, CategoricalDistribution)
        value = trial.suggest_categorical(self.name, distribution.choices)
        return next(choice for choice in distribution.choices if choice == value)

    def override(self, value: ParamValue) -> str:
        """The override that gives the task this value."""
        text = str(value) if value in self.literals else to_text(value)
        return f"{self.name}={text}"

    def can_be(self, value: ParamValue) -> bool:
        """Whether a trial could have exactly this value. Not for continuous parameters."""
        distribution = self.distribution
        if isinstance(distribution, CategoricalDistribution):
            return any(is_same(choice, value) for choice in distribution.choices)
        if isinstance(distribution, IntDistribution):
            return type(value) is int and value in _int_range(distribution)
        return False

    def count(self) -> int:
        """How many values there are. Raises ConfigError for a continuous interval."""
        distribution = self.distribution
        if isinstance(distribution, CategoricalDistribution):
            return len(distribution.choices)
        if isinstance(distribution, IntDistribution):
            return len(_int_range(distribution))
        assert isinstance(distribution, FloatDistribution)
        if distribution.step is None:
            raise ConfigError(
                f"{self.name}={self.expression}: a continuous interval has no end of values; "
                "use range(a, b, step) or choice(…), or another sampler"
            )
        low, high, step = (Decimal(repr(n)) for n in (distribution.low, distribution.high, distribution.step))
        return int((high - low) / step) + 1

    def values(self) -> list[ParamValue]:
        """All values, in order. Raises ConfigError for a continuous interval."""
        distribution = self.distribution
        if isinstance(distribution, CategoricalDistribution):
            return list(distribution.choices)
        if isinstance(distribution, IntDistribution):
            return list(_int_range(distribution))
        assert isinstance(distribution, FloatDistribution)
        low, step = Decimal(repr(distribution.low)), Decimal(repr(distribution.step or 0.0))
        return [float(low + k * step) for k in range(self.count())]

    def examples(self) -> Sequence[ParamValue]:
        """Values that stand for all: every choice, or both ends of an interval and its middle."""
        distribution = self.distribution
        if isinstance(distribution, CategoricalDistribution):
            return distribution.choices
        if isinstance(distribution, IntDistribution):
            return sorted({distribution.low, distribution.high})
        assert isinstance(distribution, FloatDistribution)
        ends = {distribution.low, distribution.high}
        if distribution.step is None:
            ends.add(distribution.low + (distribution.high - distribution.low) / 2)
        return sorted(ends)


def _int_range(distribution: IntDistribution) -> range:
    return range(distribution.low, distribution.high + 1, distribution.step)
