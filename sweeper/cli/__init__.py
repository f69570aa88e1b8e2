"""The command line: one module for each verb, which asks the rooms, prints and exits."""

from __future__ import annotations

import io
import sys


def main() -> None:
    """Run the command line; what the user can act on ends it with its text on standard error and a status."""
    from sweeper.cli.app import command
    from sweeper.errors import Interrupted, SweeperError
    from sweeper.text import printable

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a lone surrogate is no reason to die while printing
    try:
        command()(prog_name="sweeper")
    except (SweeperError, Interrupted) as error:
        for line in str(error).splitlines():
            print(f"sweeper: {printable(line)}", file=sys.stderr)
        sys.exit(error.exit_status)
