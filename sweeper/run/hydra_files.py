"""The three files that Hydra writes of a job, `config.yaml`, `overrides.yaml` and `hydra.yaml`, without secrets.

Their text is what Hydra's own is. Most of it is the same for all trials of a sweep: where that has been written once,
a trial puts its own values into it, and asks YAML only for such as are not written in one plain way.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any

import yaml
from omegaconf import DictConfig, Node
from omegaconf._utils import get_omega_conf_dumper

from sweeper.config.recipe import OF_EACH, Values, part
from sweeper.provenance.secret import is_secret, masked, masked_text

_START = re.compile(r"^---[ \n]", re.MULTILINE)  # of a document
_ENTRY = re.compile(r"^  (?P<key>\w+):.*\n|^    (?P<name>\w+):.*\n(?:(?:     .*| {4}- .*| {4}-)?\n)*", re.MULTILINE)
_ONE_WORD = re.compile(r"(?:[\w/][\w/.,+=-]*)?", re.ASCII)  # no character of it means anything to YAML where it stands
_TEXT = "tag:yaml.org,2002:str"
_Keys = tuple[str, str]  # of a value in the `hydra` node: of a node in it, and in that
_OWN = {(key, name) for key, names in OF_EACH.items() for name in names}


class _Dumper(getattr(yaml, "CDumper", yaml.Dumper)):  # type: ignore[misc]
    """OmegaConf's own YAML, written by libyaml."""

    yaml_representers = get_omega_conf_dumper().yaml_representers


_dumper = _Dumper(io.StringIO())  # writes nothing: says how it would write single values


@dataclass(frozen=True, slots=True)
class Texts:
    """What the files of trials of one base share."""

    hydra: tuple[str | _Keys, ...]  # hydra.yaml in order, a trial's own values by where they stand
    config: str = ""  # config.yaml
    places: Mapping[str, tuple[int, int]] | None = None  # in it, from and to, of single values; None: not looked for

    @classmethod
    def of(cls, hydra: Mapping[str, Any]) -> Texts:
        """Of the `hydra` node, plain and unresolved."""
        return cls(tuple(_pieces(hydra)))

    def with_config(self, config: DictConfig) -> Texts:
        """The same with what many trials can begin with that have values of their own in this config."""
        (text,) = _yaml([plain(config)])
        return replace(self, config=text, places=dict(_places(text)))


def save(folder: Path, texts: Texts, config: DictConfig, whole: DictConfig, values: Values | None) -> None:
    """Write them for a job with this config, and with the `hydra` node of the whole.

    `values` are all in which the config differs from that of `texts`; None where that is not known.
    """
    folder.mkdir(parents=True, exist_ok=True)
    own = {key: {name: plain(part(whole, "hydra", key, name)) for name in names} for key, names in OF_EACH.items()}
    overrides = own["overrides"]["task"]
    try:
        config_yaml = _with_values(texts, values)
        overrides_yaml = _list(overrides, "")
        lines = {(key, name): _line(name, value) for key, found in own.items() for name, value in found.items()}
    except _TakesYaml:
        config_yaml, overrides_yaml, own_yaml = _yaml([plain(config), overrides, {"hydra": own}])
        lines = {keys: found[0] for keys, found in _found(own_yaml) if keys in _OWN}
    hydra_yaml = "".join(piece if isinstance(piece, str) else lines[piece] for piece in texts.hydra)
    for name, text in (("config", config_yaml), ("overrides", overrides_yaml), ("hydra", hydra_yaml)):
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def plain(node: Node) -> Any:
    """What `OmegaConf.to_container` gives, unresolved and enums by name, in two calls for each value instead of 15."""
    value: Any = node._value()
    if type(value) is dict:
        return {key.name if isinstance(key, Enum) else key: plain(child) for key, child in value.items()}
    if type(value) is list:
        return [plain(child) for child in value]
    return value.name if isinstance(value, Enum) else value


class _TakesYaml(Exception):
    """A value is not written in one plain way, or nobody knows where."""


def _with_values(texts: Texts, values: Values | None) -> str:
    """config.yaml with a trial's own values."""
    if values is None or texts.places is None or not values.keys() <= texts.places.keys():
        raise _TakesYaml
    pieces, done = list[str](), 0
    for key in sorted(values, key=texts.places.__getitem__):
        start, end = texts.places[key]
        pieces += texts.config[done:start], _word(values[key])
        done = end
    return "".join(pieces) + texts.config[done:]


def _line(name: str, value: object) -> str:
    """An entry of a node in the `hydra` node, with all its lines."""
    if isinstance(value, list):
        return f"    {name}:\n{_list(value, '    ')}" if value else f"    {name}: []\n"
    return f"    {name}: {{}}\n" if value == {} else f"    {name}: {_word(value)}\n"


def _list(values: Sequence[object], indent: str) -> str:
    return "".join([f"{indent}- {_word(value)}\n" for value in values]) or "[]\n"


def _word(value: object) -> str:
    """How a value is written where it is one word."""
    if type(value) is str:
        value = masked_text(value)
        if not _ONE_WORD.fullmatch(value):
            raise _TakesYaml
        if "=" in value or "/" in value:
            return value  # nothing but text is written so
    elif type(value) not in (int, float, bool, NoneType):
        raise _TakesYaml
    node = _dumper.represent_data(value)
    is_told = node.style is None and _dumper.resolve(yaml.ScalarNode, node.value, (True, False)) == node.tag
    return str(node.value) if is_told else f"'{node.value}'"


def _places(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Where in a config's YAML single values stand, by their keys; no secrets, and none of more than a line."""
    todo: list[tuple[str, yaml.Node]] = [("", yaml.compose(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))]
    for prefix, node in todo:  # grows
        if isinstance(node, yaml.MappingNode):
            todo += [
                (f"{prefix}.{key.value}".lstrip("."), value)
                for key, value in node.value
                if key.tag == _TEXT and "." not in key.value and not is_secret(key.value)
            ]
        elif isinstance(node, yaml.ScalarNode) and node.start_mark.line == node.end_mark.line:
            yield prefix, (node.start_mark.index, node.end_mark.index)


def _pieces(hydra: Mapping[str, Any]) -> Iterator[str | _Keys]:
    """The `hydra` node as YAML, in pieces: what trials share as text, and where each has something of its own."""
    (text,) = _yaml([{"hydra": hydra}])
    start = 0
    for keys, found in _found(text):
        if keys in _OWN:
            yield text[start : found.start()]
            yield keys
            start = found.end()
    yield text[start:]


def _found(text: str) -> Iterator[tuple[_Keys, re.Match[str]]]:
    """The entries of the nodes in the `hydra` node, each with all its lines: deeper ones, list items, blank ones."""
    key = ""
    for found in _ENTRY.finditer(text):
        if found["name"] is None:
            key = found["key"]
        else:
            yield (key, found["name"]), found


def _yaml(documents: Iterable[object]) -> list[str]:
    """Each mapping or list as YAML; together they take a fraction of the time."""
    text: str = yaml.dump_all(
        masked(list(documents)),
        default_flow_style=False,
        allow_unicode=True,
        sort_keys=False,
        explicit_start=True,
        Dumper=_Dumper,
    )
    return _START.split(text)[1:]
