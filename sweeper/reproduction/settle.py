"""Brings a config composed from the rebuilt code to what the record says, without losing the types of its nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from sweeper.provenance.secret import MASK
from sweeper.reproduction.difference import Path, differences


def settle(
    config: DictConfig, composed: Mapping[str, object], recorded: Mapping[str, object], moved: Mapping[str, str]
) -> list[str]:
    """Set in `config` what the record has otherwise than `composed`; returns a line for each key.

    A secret is masked on record: what the present environment gives stays. Folders have moved, from the keys of `moved`
    to its values: a path below one of them stays where it is now.
    """
    told = []
    for path, old, new in list(differences(recorded, composed)):
        name = ".".join(map(str, path))
        if isinstance(old, str) and MASK in old:
            told.append(f"{name}: a secret, taken from the present environment")
        elif _moved(old, moved) == new:
            continue
        else:
            told.append(f"{name}: {new!r} by the rebuilt code, {old!r} on record")
            with read_write(config), open_dict(config):
                OmegaConf.update(config, _dotted(path), old, merge=False, force_add=True)
    return told


def _moved(value: object, moved: Mapping[str, str]) -> object:
    if isinstance(value, str):
        for old, new in sorted(moved.items(), key=lambda pair: -len(pair[0])):
            value = value.replace(old, new)
        return value
    if isinstance(value, Sequence):
        return [_moved(inner, moved) for inner in value]
    return value


def _dotted(path: Path) -> str:
    return "".join(f"[{key}]" if i else str(key) for i, key in enumerate(path))
