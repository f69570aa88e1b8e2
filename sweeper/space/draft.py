"""A space while it is being read: collects every problem, so that the user sees them all at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import ChoiceSweep, Override, OverrideType, QuotedString
from omegaconf import DictConfig, OmegaConf

from sweeper.errors import ConfigError
from sweeper.space.expression import (
    constant_distribution,
    create_distribution,
    create_parser,
    is_sweep,
    read,
    shorten,
    to_text,
)
from sweeper.space.parameter import Condition, Parameter, is_same

LONGEST_NAME = 500  # characters; Optuna's column holds 512

Identity = tuple[str, str | None]  # key and package: what an override is about, whatever its prefix


@dataclass(frozen=True)
class Branch:
    """`when: {condition: …}`, read: the key that decides, its values, and what it switches on."""

    condition: str
    parent: Identity
    values: tuple[Any, ...]
    parameters: Mapping[Identity, Parameter]


class Draft:
    """`add` once, `add_branch` for each branch; `finish` gives the space's parts or raises all problems."""

    def __init__(self, config_loader: ConfigLoader) -> None:
        self._config_loader = config_loader
        self._parser = create_parser(config_loader)
        self._problems: list[str] = []
        self._lines: list[str] = []
        self._fixed: dict[Identity, object] = {}
        self._parameters: dict[Identity, Parameter] = {}
        self._branches: list[Branch] = []

    def add(self, params: Mapping[str, object], arguments: Sequence[str]) -> None:
        """`hydra.sweeper.params` and the command line; an argument replaces a param with the same key."""
        written = self._read_all(self._lines_of(params, "hydra.sweeper.params"), "hydra.sweeper.params")
        given = self._read_all(arguments, "the command line")
        replaced = {_identify(override) for override in given}
        for override in (*(each for each in written if _identify(each) not in replaced), *given):
            with self._noting():
                if is_sweep(override):
                    self._parameters[_identify(override)] = self._parameter(override)
                else:
                    self._lines.append(override.input_line or "")
                    self._fixed[_identify(override)] = override.value()

    def add_branch(self, condition: str, params: object) -> None:
        """`when`: params for trials in which `condition`, `model=cnn` or `model=cnn,vit`, holds."""
        where = f"hydra.sweeper.when: {condition}"
        with self._noting():
            if not isinstance(params, Mapping):
                raise ConfigError(f"{where}: below a condition stands a mapping of keys to expressions")
            override = read(self._parser, condition)
            value: Any = override.value()
            is_choice = isinstance(value, ChoiceSweep)
            if override.is_sweep_override() and not is_choice:
                raise ConfigError(f"{where}: a condition names one value or some, as model=cnn or model=cnn,vit")
            switched = {}
            for each in self._read_all(self._lines_of(params, where), where):
                with self._noting():
                    switched[_identify(each)] = self._parameter(each)
            values = tuple(_unquoted(choice) for choice in (value.list if is_choice else [value]))
            self._branches.append(Branch(condition, _identify(override), values, switched))

    def finish(self) -> tuple[tuple[Parameter, ...], tuple[str, ...]]:
        """The parameters, each after those that its conditions name, and the fixed overrides."""
        switched = self._merge_branches()
        conditions = self._find_conditions(switched)
        ordered = self._order(switched, conditions)
        if self._problems:
            raise ConfigError("\n".join(dict.fromkeys(self._problems)))
        return ordered, tuple(self._lines)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except ConfigError as error:
            self._problems.append(str(error))

    def _lines_of(self, params: Mapping[str, object], where: str) -> list[str]:
        """Overrides as one would type them. Nested mappings are keys with dots, as everywhere in Hydra."""
        plain: Any = OmegaConf.to_container(params, resolve=True) if isinstance(params, DictConfig) else params
        lines: list[str] = []
        for key, value in plain.items():
            if not isinstance(key, str):
                self._problems.append(f"{where}: key {key!r} is no text; put it in quotes")
            elif isinstance(value, Mapping) and value:
                nested = {f"{key}.{below}": deeper for below, deeper in value.items()}
                lines += self._lines_of(nested, where)
            else:
                lines.append(f"{key}={value if isinstance(value, str) else to_text(value)}")
        return lines

    def _read_all(self, lines: Sequence[str], where: str) -> list[Override]:
        overrides: list[Override] = []
        first: dict[Identity, Override] = {}
        for line in lines:
            with self._noting():
                override = read(self._parser, line)
                other = first.get(_identify(override))
                if other is not None:
                    key = override.get_key_element()
                    raise ConfigError(f"{key}: {where} has it twice, {other.input_line} and {line}; keep one")
                overrides.append(override)
                if not override.is_delete():  # `~db +db=x` removes a default, then adds another
                    first[_identify(override)] = override
        return overrides

    def _parameter(self, override: Override) -> Parameter:
        name, line = override.get_key_element(), override.input_line or ""
        if override.is_hydra_override():
            raise ConfigError(f"{line}: Hydra's own settings cannot be swept; give {name} one value")
        if override.is_delete():
            raise ConfigError(f"{line}: a deletion cannot be swept; sweep over the key's values")
        if len(name) > LONGEST_NAME:
            raise ConfigError(f"{name[:40]}…: a key of {len(name)} characters; {LONGEST_NAME} are allowed")
        options = self._options(override.key_or_group)
        swept = is_sweep(override)
        try:
            if swept:
                distribution, literals = create_distribution(override, options)
            else:
                distribution, literals = constant_distribution(override.value())
        except ConfigError as error:
            raise ConfigError(f"{shorten(line)}: {error}") from None
        plain = override.type is OverrideType.CHANGE and override.package is None and not options
        expression = override.get_value_string()
        return Parameter(name, expression, distribution, literals, is_plain=plain)

    def _options(self, key: str) -> list[str]:
        """The config names in the group called `key`; empty if there is no such group."""
        if "." in key:
            return []
        return self._config_loader.get_group_options(key)

    def _merge_branches(self) -> dict[Identity, Parameter]:
        """Every parameter that some branch switches on. What is fixed for all trials is nobody's choice."""
        merged: dict[Identity, Parameter] = {}
        for branch in self._branches:
            for key, parameter in branch.parameters.items():
                other = merged.setdefault(key, parameter)
                if key in self._parameters:
                    self._problems.append(
                        f"{parameter.name}: swept for all trials and again when {branch.condition}; keep one"
                    )
                elif (other.distribution, other.literals) != (parameter.distribution, parameter.literals):
                    self._problems.append(
                        f"{parameter.name}: {other.expression} in one branch, {parameter.expression} when "
                        f"{branch.condition}; a parameter has the same values in all branches"
                    )
        return {key: parameter for key, parameter in merged.items() if key not in self._fixed}

    def _find_conditions(
        self, switched: Mapping[Identity, Parameter]
    ) -> dict[Identity, list[tuple[Identity, Condition]] | None]:
        """Each switched parameter's conditions; None if one is met by a fixed value, so by all trials."""
        found: dict[Identity, list[tuple[Identity, Condition]] | None] = {key: [] for key in switched}
        for branch in self._branches:
            parent = self._parameters.get(branch.parent) or switched.get(branch.parent)
            if parent is None and branch.parent not in self._fixed:
                self._problems.append(
                    f"hydra.sweeper.when: {branch.condition}: {branch.parent[0]} is neither swept nor fixed; "
                    "add it to hydra.sweeper.params or to the command line"
                )
                continue
            if parent is not None:
                self._check_possible(branch, parent)
            for key in branch.parameters.keys() & switched.keys():
                conditions = found[key]
                if parent is not None and conditions is not None:
                    conditions.append((branch.parent, Condition(parent.name, branch.values)))
                elif parent is None and any(is_same(self._fixed[branch.parent], v) for v in branch.values):
                    found[key] = None
        return found

    def _check_possible(self, branch: Branch, parent: Parameter) -> None:
        for value in branch.values:
            if not parent.can_be(value):
                self._problems.append(
                    f"hydra.sweeper.when: {branch.condition}: {parent.name}={parent.expression} "
                    f"is never exactly {value!r}; name one of its choices"
                )

    def _order(
        self,
        switched: Mapping[Identity, Parameter],
        conditions: Mapping[Identity, list[tuple[Identity, Condition]] | None],
    ) -> tuple[Parameter, ...]:
        """Parents before children. A parameter whose every condition fails for good is left out."""
        placed = dict(self._parameters)
        waiting = dict(switched)
        while waiting:
            ready = [key for key in waiting if not any(parent in waiting for parent, _ in conditions[key] or ())]
            if not ready:
                names = ", ".join(parameter.name for parameter in waiting.values())
                self._problems.append(f"hydra.sweeper.when: {names} switch each other on; break the circle")
                break
            for key in ready:
                parameter, own = waiting.pop(key), conditions[key]
                met = tuple(condition for parent, condition in own or () if parent in placed)
                if own is None or met:
                    placed[key] = replace(parameter, conditions=() if own is None else met)
        return tuple(placed.values())


def _identify(override: Override) -> Identity:
    return override.key_or_group, override.package


def _unquoted(value: object) -> object:
    return value.text if isinstance(value, QuotedString) else value
