"""A picture on the terminal that is drawn anew every two seconds, until Ctrl-C."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.live import Live

from sweeper.cli.option import Form
from sweeper.errors import ConfigError

_EVERY_S = 2.0

Watch = Annotated[bool, typer.Option("--watch", help="Look again every 2 seconds, until Ctrl-C.")]


def check_form(form: Form) -> None:
    """Raise ConfigError for what programs read: they would never come to its end."""
    if form is not Form.TEXT:
        raise ConfigError("--watch is for a terminal: leave it out, or --json and --csv")


def watch(picture: Callable[[int], RenderableType]) -> None:
    """Show what `picture` makes for so many columns."""
    with contextlib.suppress(KeyboardInterrupt), Live(auto_refresh=False) as live:
        while True:
            live.update(picture(live.console.width), refresh=True)
            time.sleep(_EVERY_S)  # neither cards nor a queue tell anybody when something changes
