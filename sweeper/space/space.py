"""What is searched: parameters with their branches, and the overrides that every trial gets as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from hydra.core.config_loader import ConfigLoader
from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial

from sweeper.errors import ConfigError
from sweeper.space.draft import Draft
from sweeper.space.expression import to_text
from sweeper.space.parameter import Parameter
from sweeper.trial import ParamValue

MOST_GRID_POINTS = 1_000_000


@dataclass(frozen=True)
class Space:
    """Parameters in the order in which trials ask for them (parents first), and the fixed overrides."""

    parameters: tuple[Parameter, ...]
    fixed: tuple[str, ...] = ()

    @classmethod
    def parse(
        cls,
        arguments: Sequence[str],
        params: Mapping[str, object],
        config_loader: ConfigLoader,
        when: Mapping[str, Mapping[str, object]] = MappingProxyType({}),
    ) -> Space:
        """Read `hydra.sweeper.params` (key to expression or value), the command line, which wins, and `when`.

        `when` maps a condition, `model=cnn` or `model=cnn,vit`, to params that only such trials have.
        Raises ConfigError with every problem found, one line each.
        """
        draft = Draft(config_loader)
        draft.add(params, arguments)
        for condition, switched in when.items():
            draft.add_branch(condition, switched)
        parameters, fixed = draft.finish()
        return cls(parameters=parameters, fixed=fixed)

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Name to distribution, branches included, as Optuna's samplers want a search space."""
        return {parameter.name: parameter.distribution for parameter in self.parameters}

    @cached_property
    def expressions(self) -> dict[str, str]:
        """Name to expression as it was written, for the record."""
        return {parameter.name: parameter.expression for parameter in self.parameters}

    @cached_property
    def when(self) -> dict[str, tuple[str, ...]]:
        """The branches: condition, as `model=cnn`, to the names of the parameters that it switches on."""
        branches: dict[str, tuple[str, ...]] = {}
        for parameter in self.parameters:
            for condition in parameter.conditions:
                choices = ",".join(to_text(value) for value in condition.values)
                key = f"{condition.name}={choices}"
                branches[key] = (*branches.get(key, ()), parameter.name)
        return branches

    @cached_property
    def plain_keys(self) -> frozenset[str]:
        """Names that set one existing value; others select a config group, add a key or have a package."""
        return frozenset(parameter.name for parameter in self.parameters if parameter.is_plain)

    @cached_property
    def _by_name(self) -> dict[str, Parameter]:
        return {parameter.name: parameter for parameter in self.parameters}

    def suggest(self, trial: BaseTrial) -> dict[str, ParamValue]:
        """Ask the trial for every parameter that is active, always in the same order."""
        chosen: dict[str, ParamValue] = {}
        for parameter in self.parameters:
            if parameter.is_active(chosen):
                chosen[parameter.name] = parameter.suggest(trial)
        return chosen

    def overrides(self, params: Mapping[str, ParamValue]) -> tuple[str, ...]:
        """What Hydra composes the trial's config from: the fixed overrides, then one for each of `params`.

        `params` may have names that the space does not know (from a custom search space); they come last.
        """
        known = [parameter.override(params[name]) for name, parameter in self._by_name.items() if name in params]
        others = [f"{name}={to_text(value)}" for name, value in params.items() if name not in self._by_name]
        return (*self.fixed, *known, *others)

    def grid(self) -> dict[str, list[ParamValue]]:
        """Name to all values, for samplers that enumerate. Raises ConfigError naming each continuous one."""
        problems = []
        total = 1
        for parameter in self.parameters:
            try:
                total *= parameter.count()
            except ConfigError as error:
                problems.append(str(error))
        if problems:
            raise ConfigError("\n".join(problems))
        if total > MOST_GRID_POINTS:
            raise ConfigError(
                f"the grid has {total:,} points, more than the {MOST_GRID_POINTS:,} allowed; "
                "use wider steps or another sampler"
            )
        return {parameter.name: parameter.values() for parameter in self.parameters}

    def size(self) -> int:
        """How many different trials there are, branches considered. Raises ConfigError as `grid` does."""
        parents = {condition.name for parameter in self.parameters for condition in parameter.conditions}

        def count(rest: Sequence[Parameter], chosen: dict[str, ParamValue]) -> int:
            if not rest:
                return 1
            first, others = rest[0], rest[1:]
            if not first.is_active(chosen):
                return count(others, chosen)
            if first.name not in parents:
                return first.count() * count(others, chosen)
            return sum(count(others, {**chosen, first.name: value}) for value in first.values())

        return count(self.parameters, {})

    def examples(self) -> Iterator[dict[str, ParamValue]]:
        """A few points in which every choice, every end of an interval and every branch occurs."""
        turns = max((len(parameter.examples()) for parameter in self.parameters), default=1)
        rounds: list[tuple[dict[str, ParamValue], int]] = [({}, turns)]
        for parameter in self.parameters:
            if parameter.conditions:
                rounds.append((self._forced(parameter), len(parameter.examples())))
        seen = set()
        for forced, count in rounds:
            for turn in range(count):
                point = self._example(turn, forced)
                mark = tuple((name, type(value), value) for name, value in point.items())
                if mark not in seen:
                    seen.add(mark)
                    yield point

    def _example(self, turn: int, forced: Mapping[str, ParamValue]) -> dict[str, ParamValue]:
        point: dict[str, ParamValue] = {}
        for parameter in self.parameters:
            if parameter.is_active(point):
                values = parameter.examples()
                point[parameter.name] = forced.get(parameter.name, values[turn % len(values)])
        return point

    def _forced(self, parameter: Parameter) -> dict[str, ParamValue]:
        """The choices that switch the parameter on, by its first condition and those of its parents."""
        forced: dict[str, ParamValue] = {}
        while parameter.conditions:
            condition = parameter.conditions[0]
            forced[condition.name] = condition.values[0]
            parameter = self._by_name[condition.name]
        return forced
