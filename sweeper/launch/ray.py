"""Trials on a Ray cluster: a slot is an actor that holds a share of some node and keeps a zygote there.

Ray places the actors and sets what GPUs they see. It re-runs nothing by itself: retries are ours, and on record.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import math
import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

from sweeper.errors import LaunchError
from sweeper.launch import T
from sweeper.run.app import App
from sweeper.run.host import Host
from sweeper.run.journal import seal
from sweeper.trial import Ended, Event, Failure, TrialSpec

# Set before Ray is imported: its C++ side reads them once.
_LOCAL_ENVIRONMENT = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # every port on the loopback address alone
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
}
_GRACE_S = 3.0  # between SIGTERM and SIGKILL


@dataclass(frozen=True, slots=True)
class Resources:
    """What one trial holds while it runs."""

    cpus: float = 1.0
    gpus: float = 0.0


class RayLauncher:
    """As many slots as the cluster offers, or `n_jobs` where that is fewer."""

    def __init__(self, app: App, resources: Resources, n_jobs: int | None, address: str | None) -> None:
        self._app = app
        self._resources = resources
        self._n_jobs = n_jobs
        self._address = address
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Self:
        ray = sys.modules.get("ray")
        if (
            ray is None or not ray.is_initialized()
        ):  # a Ray that this process has joined already is used, and left as it is
            self._undo.enter_context(local_ray() if self._address is None else _cluster(self._address))
        return self

    def __exit__(self, *exc: object) -> None:
        self._undo.close()

    def drive(self, main: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(main)

    async def slots(self) -> AsyncIterator[RaySlot]:
        slots = [RaySlot(self._app, self._resources) for _ in range(self._count())]
        ready = [asyncio.ensure_future(_when_ready(slot)) for slot in slots]
        try:
            for slot in asyncio.as_completed(ready):
                yield await slot
        finally:
            for waiting in ready:
                waiting.cancel()

    def _count(self) -> int:
        import ray

        offered: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        fits = min(
            _share(offered.get("CPU", 0.0), self._resources.cpus),
            _share(offered.get("GPU", 0.0), self._resources.gpus),
        )
        if fits < 1:
            raise LaunchError(
                f"a trial needs {self._resources.cpus:g} CPUs and {self._resources.gpus:g} GPUs, the cluster has "
                f"{offered.get('CPU', 0):g} and {offered.get('GPU', 0):g}; set hydra.sweeper.resources"
            )
        return int(fits) if self._n_jobs is None else min(int(fits), self._n_jobs)


class RaySlot:
    """A slot as the driver sees it: calls to an actor, and what to make of the actor's death."""

    def __init__(self, app: App, resources: Resources) -> None:
        self._app = app
        self._resources = resources
        self._actor: Any = _actor(app, resources)

    async def ready(self) -> None:
        """Wait until the actor is placed and has imported the app."""
        from ray.exceptions import RayTaskError

        try:
            await self._actor.ready.remote()
        except RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, LaunchError) else LaunchError(str(error)) from error

    async def run(self, spec: TrialSpec) -> AsyncIterator[tuple[Event, ...]]:
        from ray.exceptions import RayActorError

        heard = 0
        try:
            call = self._actor.begin.remote(replace(spec, config={}))  # the config travels in the payload
            while True:
                events: tuple[Event, ...] = await call
                heard += len(events)
                yield events
                if isinstance(events[-1], Ended):
                    return
                call = self._actor.more.remote()
        except RayActorError:
            self._actor = _actor(self._app, self._resources)
            yield tuple(seal(spec.folder, spec.run, Failure.LOST, "the slot that ran the trial is gone")[heard:])

    async def answer(self, step: int, prune: bool) -> None:
        await self._actor.answer.remote(step, prune)

    async def stop(self, failure: Failure, error: str) -> None:
        await self._actor.stop.remote(failure, error)


async def _when_ready(slot: RaySlot) -> RaySlot:
    await slot.ready()
    return slot


class SlotActor:
    """What runs on the node: a `Host`, spoken to over Ray."""

    def __init__(self, app: App, environment: dict[str, str]) -> None:
        self._host = Host(app, environment)
        self._events: AsyncIterator[tuple[Event, ...]] | None = None

    async def ready(self) -> None:
        await self._host.ready()

    async def begin(self, spec: TrialSpec) -> tuple[Event, ...]:
        """Start a trial; returns its first events."""
        self._events = self._host.run(spec)
        return await self.more()

    async def more(self) -> tuple[Event, ...]:
        """The running trial's next events, as soon as there are any."""
        if self._events is None:
            return ()
        return await anext(self._events)

    async def answer(self, step: int, prune: bool) -> None:
        self._host.answer(step, prune)

    async def stop(self, failure: Failure, error: str) -> None:
        self._host.stop(failure, error, _GRACE_S)


def _actor(app: App, resources: Resources) -> Any:
    import ray

    hidden = {"CUDA_VISIBLE_DEVICES": ""} if resources.gpus == 0 else {}  # Ray no longer hides them for 0 GPUs
    actor = ray.remote(SlotActor).options(
        num_cpus=resources.cpus,
        num_gpus=resources.gpus,
        max_restarts=0,
        max_task_retries=0,
        enable_task_events=False,  # the record is ours; Ray's own copy of it costs a tenth of a call
    )
    return actor.remote(app, hidden)


def _share(offered: float, needed: float) -> float:
    return math.inf if needed == 0 else math.floor(offered / needed + 1e-9)


@functools.cache
def _token() -> str:
    """Of every local Ray of this process: Ray's client reads it once and keeps it."""
    return secrets.token_hex(32)


@contextlib.contextmanager
def local_ray() -> Iterator[None]:
    """A Ray of this sweep alone: loopback, a token, files that only this user can read, gone with the sweep."""
    environment = _LOCAL_ENVIRONMENT | {"RAY_AUTH_TOKEN": _token()}
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    import ray

    umask = os.umask(0o077)
    folder = tempfile.mkdtemp(prefix="sweeper-ray-")

    try:
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            namespace="sweeper",
            _temp_dir=folder,
        )
        os.umask(umask)
        yield
    finally:
        ray.shutdown()
        os.umask(umask)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _cluster(address: str) -> Iterator[None]:
    """Join a running cluster."""
    if address.startswith(("127.", "localhost:")):  # Ray would look for it at the machine's own address
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    import ray

    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, namespace="sweeper")
    except (OSError, RuntimeError, ValueError) as error:
        raise LaunchError(
            f"no Ray cluster answers at {address} ({error}); start one with `ray start --head`, or leave "
            "hydra.sweeper.ray.address out for a Ray of this sweep's own"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise OSError at once where nobody listens: Ray itself would go on trying for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=5).close()
