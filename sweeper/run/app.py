"""The user's app as a value: what a fresh process needs to have the same task function, resolvers and callbacks.

A task that can be found by name is fetched by importing its module again, as multiprocessing's spawn does, so that its
classes are the real ones (they pickle, and `isinstance` holds). Anything else, a closure or a bound method, travels by
value with cloudpickle.
"""

from __future__ import annotations

import importlib
import inspect
import multiprocessing.spawn
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cloudpickle
from hydra.core.singleton import Singleton
from hydra.core.utils import setup_globals

from sweeper.errors import LaunchError
from sweeper.provenance import secret
from sweeper.provenance.capture import Capture
from sweeper.provenance.code import NO_SNAPSHOT, Snapshot

Task = Callable[[Any], object]


@dataclass(frozen=True)
class App:
    """Everything of the driver's process that a trial's process must have; plain data, safe to pickle."""

    module: str | None  # where the task is found by name; None where it travels by value
    qualname: str
    task: bytes  # cloudpickle of the task, where it travels by value
    preparation: dict[str, Any]  # multiprocessing's: sys.path, sys.argv, the path or name of __main__
    singletons: bytes  # Hydra's and OmegaConf's state: resolvers, job name, config store
    callbacks: bytes
    snapshot: Snapshot  # of the code, for a look at whether the very same is imported
    secrets: tuple[str, ...]  # what the driver knows to be masked

    @classmethod
    def of(cls, task: Task, callbacks: object, snapshot: Snapshot = NO_SNAPSHOT) -> App:
        """Describe the running app. Raises LaunchError where a part of it cannot travel."""
        by_name = _is_found_by_name(task)
        return cls(
            module=task.__module__ if by_name else None,
            qualname=task.__qualname__ if by_name else repr(task),
            task=b"" if by_name else _packed(task, "the task function"),
            preparation=_preparation(task.__module__ if by_name else None),
            singletons=_packed(Singleton.get_state(), "a resolver or another part of Hydra's state"),
            callbacks=_packed(callbacks, "a callback of hydra.callbacks"),
            snapshot=snapshot,
            secrets=secret.known(),
        )

    def moved(self, here: Callable[[str], str]) -> App:
        """The same app where its files lie elsewhere: `here` gives the new place of an absolute path."""
        given = self.preparation
        moved: dict[str, Any] = {key: here(given[key]) for key in ("dir", "init_main_from_path") if key in given}
        moved["sys_path"] = [here(path) for path in given["sys_path"]]
        moved["sys_argv"] = [here(word) if Path(word).is_absolute() else word for word in given["sys_argv"]]
        root = None if self.snapshot.root is None else here(self.snapshot.root)
        return replace(self, preparation=given | moved, snapshot=replace(self.snapshot, root=root))

    def load(self) -> LoadedApp:
        """Import the app's modules into this process and find its task."""
        multiprocessing.spawn.prepare(self.preparation)
        task = pickle.loads(self.task) if self.module is None else self._imported()
        Singleton.set_state(pickle.loads(self.singletons))
        setup_globals()
        secret.learn_values(self.secrets)
        return LoadedApp(task, pickle.loads(self.callbacks), Capture(self.snapshot))

    def _imported(self) -> Task:
        found: Any = importlib.import_module(self.module or "")
        for name in self.qualname.split("."):
            found = getattr(found, name)
        task: Task = inspect.unwrap(found)
        return task

    def dumps(self, value: object) -> bytes:
        """Pickle `value` so that its classes mean the same in the trial's process as the task's own do."""
        return pickle.dumps(value) if self.module is not None else cloudpickle.dumps(value)


@dataclass(frozen=True)
class LoadedApp:
    """An app in the process that runs it."""

    task: Task
    callbacks: Any
    capture: Capture = field(default_factory=lambda: Capture(NO_SNAPSHOT))  # what this process is made of


def _is_found_by_name(task: Task) -> bool:
    found: Any = sys.modules.get(getattr(task, "__module__", None) or "")
    for name in getattr(task, "__qualname__", "").split("."):
        found = getattr(found, name, None)
    return found is not None and callable(found) and inspect.unwrap(found) is task and _main_can_be_imported(task)


def _main_can_be_imported(task: Task) -> bool:
    main = sys.modules["__main__"]
    return task.__module__ != "__main__" or hasattr(main, "__file__") or main.__spec__ is not None


def _preparation(module: str | None) -> dict[str, Any]:
    data = multiprocessing.spawn.get_preparation_data("sweeper-trial")
    kept = {"sys_path", "sys_argv", "dir"}
    if module == "__main__":
        kept |= {"init_main_from_name", "init_main_from_path"}
    data["sys_path"] = [str(Path(path).absolute()) for path in data["sys_path"]]
    return {key: value for key, value in data.items() if key in kept}


def _packed(value: object, what: str) -> bytes:
    try:
        packed: bytes = cloudpickle.dumps(value)
    except Exception as error:
        raise LaunchError(
            f"{what} cannot be sent to the trials' processes ({type(error).__name__}: {error}); define it at the top "
            "level of a module, or launch with --inline"
        ) from error
    return packed
