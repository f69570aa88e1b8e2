"""Composes and resolves one trial's config, as Hydra's own sweeps do, in a fraction of the time."""

from __future__ import annotations

import os
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, ValueType
from hydra.errors import HydraException
from omegaconf import DictConfig, Node, OmegaConf

from sweeper.config.clone import clone
from sweeper.config.explain import explain, first_sentence, key_of, list_keys
from sweeper.config.recipe import Job, Recipe, change, change_plainly, enter, make_room
from sweeper.config.resolve import hydra_config
from sweeper.config.snapshot import take_snapshot
from sweeper.errors import ConfigError

MOST_BASES = 64  # composed configs kept; one for each combination of config groups
MOST_PARSED = 4096  # overrides kept; choices and fixed values come again and again

_SCALAR = re.compile(
    r"(?P<prefix>\+{0,2})(?P<key>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)="
    r"(?:(?P<int>-?(?:0|[1-9][0-9]*))|(?P<float>-?[0-9]+\.[0-9]+(?:e[+-]?[0-9]+)?|-?[0-9]+e[+-]?[0-9]+)"
    r"|(?P<word>true|false|null))"
)
_WORDS = {"true": True, "false": False, "null": None}
_TYPES = {"": OverrideType.CHANGE, "+": OverrideType.ADD, "++": OverrideType.FORCE_ADD}

Shape = tuple[tuple[str, ...], tuple[str, ...]]  # overrides that select configs; keys that change values


@dataclass(frozen=True, slots=True)
class Base:
    """A config composed from config groups alone, and the same pickled, for those who run trials."""

    config: DictConfig
    pickled: bytes
    dirname: tuple[str, str, frozenset[str]] | None  # kv_sep, item_sep, exclude_keys; None if Hydra resolves it late


@dataclass(frozen=True, slots=True)
class Composed:
    """A trial's config, and of what it was made where that was a base."""

    config: DictConfig
    base: bytes | None = None
    changes: tuple[Override, ...] = ()
    job: Job | None = None


class Composer:
    """Gives every trial of a sweep its config. Create it with `snapshot`, once for a sweep.

    `dumps` pickles configs so that the classes in them mean the same in the trials' processes.
    """

    def __init__(
        self, loader: ConfigLoader, master_config: DictConfig, digest: str, dumps: Callable[[object], bytes]
    ) -> None:
        self.loader = loader  # reads the snapshot; for whoever asks what groups there are
        self.digest = digest
        self._master = master_config
        self.dumps = dumps
        self._parser = OverridesParser.create()
        self._parsed: dict[str, Override] = {}
        self._groups: dict[str, bool] = {}
        self._seen: set[tuple[str, ...]] = set()
        self._bases: OrderedDict[tuple[str, ...], Base | None] = OrderedDict()
        self._trusted: dict[Shape, bool] = {}

    @classmethod
    def snapshot(
        cls, master_config: DictConfig, folder: Path, dumps: Callable[[object], bytes] = pickle.dumps
    ) -> Composer:
        """Copy the config tree that `master_config` came from into a new `folder`, and compose from there."""
        taken = take_snapshot(master_config, folder)
        return cls(taken.loader, master_config, taken.digest, dumps)

    def compose(self, overrides: Sequence[str], number: int, job_id: str) -> Composed:
        """The trial's whole config, with what Hydra's launchers and `run_job` put into its `hydra` node.

        That is `load_sweep_config`, then the job's number and id, then where its output goes. Raises ConfigError
        with a line for each problem if Hydra cannot compose it.
        """
        try:
            composed = self._compose(list(overrides), number, job_id)
            composed.config.hydra.runtime.output_dir = _output_folder(composed.config)
        except Exception as error:  # of Hydra, OmegaConf, YAML, the builtins: there is no config, whatever it is
            problems = list(self.diagnose(overrides).values())
            told = "\n".join(problems) or f"the config cannot be composed: {first_sentence(error)}"
            raise ConfigError(told) from error
        return composed

    def base(self, composed: Composed) -> bytes:
        """The config that the trial's process makes the same config of: one that trials share, if there is one."""
        return self.dumps(composed.config) if composed.base is None else composed.base

    def recipe(self, composed: Composed) -> Recipe:
        """How it makes it, with what resolvers have answered in it up to now."""
        if composed.base is None:
            return Recipe()
        cache = dict(OmegaConf.get_cache(composed.config))
        values = change_plainly(composed.config, composed.changes)  # once more: whether it can be done so
        return Recipe(values or {}, composed.changes if values is None else (), composed.job, cache)

    def diagnose(self, overrides: Sequence[str]) -> dict[str, str]:
        """Which of these overrides cannot be composed: key to sentence. Empty if each is right by itself."""
        problems: dict[str, str] = {}
        parsed: list[Override] = []
        for line in overrides:
            try:
                parsed.append(self._parse(line))
            except HydraException as error:
                problems[key_of(line)] = explain(line, error, ())
        sound, config = self._sound([each.input_line or "" for each in parsed if self._selects(each)], problems)
        if config is None:
            return problems
        keys = list(list_keys(config))
        among = f" (with {', '.join(sound)})" if sound else ""
        for each in parsed:
            if not self._selects(each):
                try:
                    ConfigLoaderImpl._apply_overrides_to_config([each], config)
                except Exception as error:
                    problems[each.get_key_element()] = explain(each.input_line or "", error, keys) + among
        return problems

    def _sound(self, lines: list[str], problems: dict[str, str]) -> tuple[list[str], DictConfig | None]:
        """Those of the selecting overrides that compose together, and that config; the others to `problems`."""
        while True:
            try:
                base = self._base(tuple(lines), len(lines))
                return lines, self._fully(lines) if base is None else clone(base.config)
            except Exception as error:
                blamed = self._blamed(lines, error)
                if blamed is None:
                    return lines, None
                problems[key_of(blamed)] = explain(blamed, error, ())
                lines = [line for line in lines if line != blamed]

    def _blamed(self, lines: list[str], error: Exception) -> str | None:
        """The override without which there is no such error; sought first among those that its text names."""
        told = str(error).partition("\n")[0]
        mentioned = [line for line in lines if key_of(line).lstrip("+~").partition("@")[0] in told]
        for line in mentioned or lines:
            try:
                self._fully([other for other in lines if other != line])
            except Exception as remaining:
                if str(remaining) == str(error):
                    continue
            return line
        return None

    def _compose(self, overrides: list[str], number: int, job_id: str) -> Composed:
        parsed = [self._parse(text) for text in overrides]
        selecting = tuple(text for text, each in zip(overrides, parsed, strict=True) if self._selects(each))
        changes = tuple(each for each in parsed if not self._selects(each))
        shape: Shape = selecting, tuple(each.get_key_element() for each in changes)
        base = self._base(selecting, len(overrides)) if self._trusted.get(shape, True) else None
        if base is not None and shape in self._trusted:
            return self._quickly(base, changes, parsed, number, job_id)
        config = self._fully(overrides)
        config.hydra.job.id, config.hydra.job.num = job_id, number
        if base is not None:
            quick = self._quickly(base, changes, parsed, number, job_id)
            self._trusted[shape] = is_identical(config, quick.config)
        return Composed(config)

    def _parse(self, text: str) -> Override:
        """An override, read; those that set a number, true, false or null without Hydra's slow parser."""
        if text in self._parsed:
            return self._parsed[text]
        match = _SCALAR.fullmatch(text)
        if match is None:
            override = self._parser.parse_overrides([text])[0]
            if "(" not in text and len(self._parsed) < MOST_PARSED:  # shuffle(...) has a new value each time
                self._parsed[text] = override
            return override
        value: Any = None
        if match["int"] is not None:
            value = int(match["int"])
        elif match["float"] is not None:
            value = float(match["float"])
        else:
            value = _WORDS[match["word"]]
        return Override(
            type=_TYPES[match["prefix"]],
            key_or_group=match["key"],
            value_type=ValueType.ELEMENT,
            _value=value,
            input_line=text,
        )

    def _selects(self, override: Override) -> bool:
        """Whether it decides which files are composed, concerns Hydra's own node, or is for Hydra to refuse."""
        if override.is_hydra_override() or override.is_sweep_override():
            return True
        key = override.key_or_group
        if key not in self._groups:
            self._groups[key] = "." not in key and self._is_group(key)
        return self._groups[key] and not isinstance(override.value(), dict)

    def _is_group(self, key: str) -> bool:
        return any(source.is_group(key) for source in self.loader.get_sources())

    def _base(self, selecting: tuple[str, ...], count: int) -> Base | None:
        """The composed base, with room for so many overrides, from the second use on: one use is not worth one."""
        if selecting in self._bases:
            self._bases.move_to_end(selecting)
            return self._bases[selecting]
        if selecting not in self._seen:
            self._seen.add(selecting)
            return None
        config = self._fully(list(selecting))
        make_room(config, count)
        base = self._pickle(config)
        self._bases[selecting] = base
        if len(self._bases) > MOST_BASES:
            self._bases.popitem(last=False)
        return base

    def _pickle(self, config: DictConfig) -> Base | None:
        try:
            pickled = self.dumps(config)
        except (pickle.PicklingError, AttributeError, TypeError):
            return None  # a value of a type that does not pickle: such configs are composed fully each time
        if OmegaConf.is_interpolation(config.hydra.job, "override_dirname"):
            return Base(config, pickled, None)
        style = config.hydra.job.config.override_dirname
        return Base(config, pickled, (style.kv_sep, style.item_sep, frozenset(style.exclude_keys)))

    def _fully(self, overrides: list[str]) -> DictConfig:
        config = self.loader.load_sweep_config(self._master, overrides)
        config.hydra.runtime.config_sources = self._master.hydra.runtime.config_sources
        return config

    def _quickly(
        self, base: Base, changes: tuple[Override, ...], parsed: list[Override], number: int, job_id: str
    ) -> Composed:
        """Those steps of Hydra's `_load_configuration_impl` that depend on a trial's values."""
        config = clone(base.config)
        change(config, changes)
        task = [each for each in parsed if not each.is_hydra_override()]
        job = Job(
            number=number,
            id=job_id,
            overrides=tuple(each.input_line or "" for each in task),
            dirname=_dirname(base, task),
            variables={name: os.environ[name] for name in config.hydra.job.env_copy},
        )
        enter(config, job)
        OmegaConf.copy_cache(from_config=self._master, to_config=config)
        return Composed(config, base.pickled, changes, job)


def _dirname(base: Base, task: Sequence[Override]) -> str | None:
    """`hydra.job.override_dirname`, where no interpolation stands there."""
    if base.dirname is None:
        return None
    kv_sep, item_sep, exclude_keys = base.dirname
    lines = sorted(each.input_line or "" for each in task if each.key_or_group not in exclude_keys)
    return item_sep.join(lines).replace("=", kv_sep)


def _output_folder(config: DictConfig) -> str:
    """The trial's own folder, absolute: `hydra.sweep.dir` and below it `hydra.sweep.subdir`."""
    with hydra_config(config):
        return str(Path(str(config.hydra.sweep.dir), str(config.hydra.sweep.subdir)).absolute())


def is_identical(one: object, other: object) -> bool:
    """Same content, unresolved, with the same types, flags and order all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Node) and isinstance(other, Node):
        mine, theirs = (vars(node).get("_content", vars(node).get("_val")) for node in (one, other))
        return one._metadata == other._metadata and is_identical(mine, theirs)
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(is_identical(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_identical, one, other))
    return one == other or repr(one) == repr(other)  # not a number is not equal to itself
