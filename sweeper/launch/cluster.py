"""Joining Ray: a cluster that runs, or a Ray of this sweep's own."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from sweeper.errors import Interrupted, LaunchError
from sweeper.launch.slot import NAMESPACE

# Set before Ray is imported: its C++ side reads them once.
_LOCAL_ENVIRONMENT = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # every port on the loopback address alone
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_agent_register_timeout_ms": "120000",  # a machine that is busy, with trials for one, takes its time
    "RAY_raylet_start_wait_time_s": "120",
    "RAY_memory_monitor_refresh_ms": "0",  # it may end an innocent slot, where the kernel ends the greedy trial
}


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
        _start(folder)
        os.umask(umask)
        yield
    finally:
        _end_onlookers(folder)
        ray.shutdown()
        os.umask(umask)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        shutil.rmtree(folder, ignore_errors=True)


def _end_onlookers(folder: str) -> None:
    """End those processes of a local Ray that merely watch it, all at once.

    Ray itself ends one process after the other, and waits up to a second for each: on a busy machine its monitor takes
    that second.
    """
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if any(folder in word for word in words) and any(word.endswith("monitor.py") for word in words):
                process.kill()


def _start(folder: str) -> None:
    import ray

    try:
        with _signals_kept():
            ray.init(
                address="local",
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                namespace=NAMESPACE,
                _temp_dir=folder,
            )
    except Exception as error:  # Ray has no class for it
        raise LaunchError(
            f"Ray cannot be started on this machine ({' '.join(str(error).split())}); look at its load and at the room "
            f"in {tempfile.gettempdir()}, or run the trials in this process with --inline"
        ) from error


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Within this Ray starts. It puts a handler of its own in the place of SIGTERM's, which leaves with SystemExit."""
    heeded = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as left:
        if left.code == signal.SIGTERM:
            raise Interrupted(signal.SIGTERM) from left
        raise
    finally:
        if heeded:
            signal.signal(signal.SIGTERM, before)


def local_node() -> dict[str, Any]:
    """What a Ray of this sweep's own would offer, as `ray.nodes()` has it; Ray looks at the machine, nothing starts."""
    from ray._private.resource_and_label_spec import ResourceAndLabelSpec

    found = ResourceAndLabelSpec().resolve(is_head=True, node_ip_address="127.0.0.1")
    return {
        "NodeID": "this machine",
        "Alive": True,
        "NodeManagerHostname": socket.gethostname(),
        "Resources": found.to_resource_dict(),  # type: ignore[no-untyped-call]
        "Labels": found.labels,
    }


@contextlib.contextmanager
def running_cluster(address: str) -> Iterator[None]:
    """Join a running cluster; `auto` is the one that this machine is part of."""
    try:
        is_own = address == "auto"
        if is_own:
            address = _own_address()
        knock(address)
        if address.startswith(("127.", "localhost:")):  # Ray would look for it at the machine's own address
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        import ray

        if is_own:
            _use_own_token()
        with _signals_kept():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, namespace=NAMESPACE)
    except (OSError, RuntimeError, ValueError) as error:
        raise LaunchError(
            f"no Ray cluster answers at {address} ({error}); start one with `ray start --head`; for one "
            "with a token set RAY_AUTH_MODE=token; hydra/sweeper/ray=local is a Ray of this sweep's own"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _own_address() -> str:
    """Where `ray start` has noted the cluster's address. Raises OSError where it has not.

    Ray itself would then take any process of its own that it finds, a Ray of somebody's sweep among them, and try to
    join that for minutes.
    """
    folder = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"  # Ray's own rule
    try:
        return (Path(folder) / "ray" / "ray_current_cluster").read_text().strip()
    except OSError as error:
        raise OSError("this machine is part of none; set RAY_ADDRESS=HOST:PORT for another one") from error


def _use_own_token() -> None:
    """Ray's own rule for `auto`: a token that this user has is used, as `ray start` does unless told otherwise."""
    from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available

    maybe_enable_token_auth_if_token_available(warn_if_disabled=False)


def knock(address: str) -> None:
    """Raise OSError at once where nobody listens: Ray itself would go on trying for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=5).close()
