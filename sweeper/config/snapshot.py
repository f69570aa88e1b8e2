"""A copy of the config tree: a sweep composes every trial from the files as they were when it began."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.abc import Traversable
from importlib.resources import files
from pathlib import Path

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A loader that reads the copy alone, and the copy's digest."""

    loader: ConfigLoader
    digest: str


class SnapshotLoader(ConfigLoaderImpl):
    """Hydra's loader on a complete search path: what `hydra.searchpath` adds is in the copy already."""

    def _process_config_searchpath(
        self,
        config_name: str | None,
        parsed_overrides: Sequence[Override],
        repo: CachingConfigRepository,
    ) -> None:
        return


def take_snapshot(master_config: DictConfig, folder: Path) -> Snapshot:
    """Copy every YAML file of the sweep's config sources, as the master config names them, into `folder`.

    Hydra's own configs and structured configs are left where they are: they are code. The digest is a SHA-256
    over the names, relative to their source, and contents of the copied files, sources in search order.
    """
    digest = hashlib.sha256()
    search_path = ConfigSearchPathImpl()
    for position, source in enumerate(master_config.hydra.runtime.config_sources):
        root = None if source.provider == "hydra" else _root(source.schema, source.path)
        if root is None:
            search_path.append(source.provider, f"{source.schema}://{source.path}")
            continue
        copy = folder / str(position)
        copy.mkdir(parents=True)
        for name, file in sorted(_yaml_files(root, folder)):
            content = file.read_bytes()
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes(content)
            label = f"{position}/{name}\0{len(content)}\0"
            digest.update(label.encode("utf-8", "surrogateescape"))
            digest.update(content)
        search_path.append(source.provider, f"file://{copy.resolve()}")
    return Snapshot(loader=SnapshotLoader(search_path), digest=digest.hexdigest())


def _root(schema: str, path: str) -> Traversable | None:
    """Where a source's files lie; None for a source without files, or one that is not there."""
    if schema == "file":
        return Path(path) if Path(path).is_dir() else None
    if schema != "pkg" or not path:
        return None
    try:
        return files(path)
    except (ModuleNotFoundError, TypeError):
        return None


def _yaml_files(root: Traversable, excluded: Path) -> Iterator[tuple[str, Traversable]]:
    """Names relative to `root`, and files; not those in hidden folders and `excluded`. Links are followed."""
    return _walk(root, "", frozenset({excluded.resolve()}))


def _walk(place: Traversable, prefix: str, above: frozenset[Path]) -> Iterator[tuple[str, Traversable]]:
    """`above` are the folders that `place` lies in: a link back to one of them would lead round for ever."""
    if isinstance(place, Path):
        real = place.resolve()
        if real in above:
            return
        above |= {real}
    for entry in place.iterdir():
        if entry.name.startswith(".") or entry.name == "__pycache__":
            continue
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/", above)
        elif entry.name.endswith(_SUFFIXES) and entry.is_file():
            yield f"{prefix}{entry.name}", entry
