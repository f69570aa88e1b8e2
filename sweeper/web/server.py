"""The server: binds a port, prints the link that lets its reader in, answers until it is told to stop."""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

import uvicorn

from sweeper.errors import ConfigError
from sweeper.text import printable
from sweeper.web.address import address
from sweeper.web.site import create_site
from sweeper.web.source import Source

PORT = 8585
TOKEN = "SWEEPER_UI_TOKEN"
SHORTEST_TOKEN = 20
_BACKLOG = 256
_LONGEST_ADDRESS_BYTES = 1 << 20  # a study's name may be long, and stands in the address


def serve(source: Source, host: str, port: int | None, names: Sequence[str]) -> None:
    """Answer until SIGINT or SIGTERM. Raises ConfigError where the port cannot be had."""
    secret = token()
    listening = bound(host, port)
    taken: int = listening.getsockname()[1]
    known = [*names, *([] if _is_address(host) else [host]), *_own_names(host)]
    site = create_site(source, secret, hosts=known, port=taken)
    if not _is_local(host):
        print(_WARNING.format(host=printable(host)), file=sys.stderr, flush=True)
    for line in _announced(source, host, taken, secret):
        print(line, flush=True)
    config = uvicorn.Config(
        site,
        log_level="warning",
        access_log=False,  # addresses hold the token once
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        loop="asyncio",
        http="h11",
        h11_max_incomplete_event_size=_LONGEST_ADDRESS_BYTES,
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run(sockets=[listening])


_WARNING = (
    "sweeper: {host} is reached from other machines, and what they exchange with it is not encrypted: whoever sees the "
    "link or the traffic can read every study; an SSH tunnel to 127.0.0.1 is safer"
)


def bound(host: str, port: int | None) -> socket.socket:
    """A socket that listens: at the port, else at 8585 or any that is free. Raises ConfigError."""
    try:
        family = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][0]
        if port is None:
            with suppress(OSError):
                return socket.create_server((host, PORT), family=family, backlog=_BACKLOG)
        return socket.create_server((host, port or 0), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"{host} port {port or 'of any number'} cannot be listened on ({error.strerror or error}): "
            "give another with --host and --port"
        ) from error


def _announced(source: Source, host: str, port: int, token: str) -> list[str]:
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    return [
        f"sweeper ui reads {printable(source.history.where)} and changes nothing; Ctrl-C ends it. Open",
        "",
        f"    http://{shown}:{port}{address('/', token=token)}",
        "",
        f"The same studies in optuna-dashboard: {printable(source.dashboard)}",
    ]


def token() -> str:
    """One that the user has set, else a new one. Raises ConfigError for one that could be guessed."""
    given = os.environ.get(TOKEN)
    if given is None:
        return secrets.token_urlsafe(24)
    if len(given) < SHORTEST_TOKEN or not given.isprintable() or not given.isascii():
        raise ConfigError(f"${TOKEN} is too short to be safe: give at least {SHORTEST_TOKEN} printable characters")
    return given


def _own_names(host: str) -> list[str]:
    """What this machine is called, where other machines may ask for it."""
    return [] if _is_local(host) else [socket.gethostname(), socket.getfqdn()]


def _is_local(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
