"""`sweeper ui`: the site, read-only, on this machine unless told otherwise."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from sweeper.cli.option import DEFAULT_STORAGE, Address, Artifacts, Storage


def ui(
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="By default 8585, or any that is free.", show_default=False),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="A name that browsers may reach it by; may be repeated."),
    ] = None,
    address: Address = None,
    storage: Storage = DEFAULT_STORAGE,
    artifacts: Artifacts = None,
) -> None:
    """Show all that is on record in the browser, and change nothing.

    It prints a link with a token; without the token nobody sees anything. A token of your own, at least 20 characters,
    is taken from $SWEEPER_UI_TOKEN. Programs read /api with `Authorization: Bearer TOKEN`.

    The same studies open in optuna-dashboard: optuna-dashboard sqlite:///sweeper.db --artifact-dir artifacts/optuna
    """
    from sweeper.launch.lookout import Lookout, here
    from sweeper.web.server import serve
    from sweeper.web.source import Source

    with contextlib.ExitStack() as undo:
        look = here if address is None else undo.enter_context(contextlib.closing(Lookout(address))).look
        serve(Source.of(storage, artifacts, look), host, port, allow_host or ())
