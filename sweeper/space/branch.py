"""The branches of a space: combinations of the choices that decide which config files and parameters a trial has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from optuna.distributions import CategoricalDistribution

from sweeper.space.parameter import Parameter
from sweeper.space.space import Space
from sweeper.trial import ParamValue


@dataclass(frozen=True, slots=True)
class Branch:
    """One combination, and a trial that has it."""

    choices: Mapping[str, ParamValue]
    point: Mapping[str, ParamValue]


def deciding(space: Space) -> Space:
    """The parameters on which others hang, and those that choose among config files or keys that are added."""
    parents = {condition.name for parameter in space.parameters for condition in parameter.conditions}

    def decides(parameter: Parameter) -> bool:
        chooses = not parameter.is_plain and isinstance(parameter.distribution, CategoricalDistribution)
        return chooses or parameter.name in parents

    return Space(tuple(filter(decides, space.parameters)))


def branches(space: Space) -> Iterator[Branch]:
    """Every branch, in order; one where nothing decides. There are `deciding(space).size()`."""
    for choices in _combinations(deciding(space).parameters, {}):
        yield Branch(choices, _point(space, choices))


def _combinations(rest: Sequence[Parameter], chosen: dict[str, ParamValue]) -> Iterator[dict[str, ParamValue]]:
    if not rest:
        yield chosen
    elif not rest[0].is_active(chosen):
        yield from _combinations(rest[1:], chosen)
    else:
        for value in rest[0].values():
            yield from _combinations(rest[1:], {**chosen, rest[0].name: value})


def _point(space: Space, choices: Mapping[str, ParamValue]) -> dict[str, ParamValue]:
    point: dict[str, ParamValue] = {}
    for parameter in space.parameters:
        if parameter.is_active(point):
            values = parameter.examples()
            point[parameter.name] = choices.get(parameter.name, values[len(values) // 2])
    return point
