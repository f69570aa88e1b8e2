"""How the code of runs differs, line by line, as `git diff` would show it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sweeper import text
from sweeper.cli.screen import Screen

if TYPE_CHECKING:
    from sweeper.archive.patch import Patch

_STYLES = {"+": "green", "-": "red", "@": "cyan", "d": "bold"}  # by how a line begins; `d` is a file's `diff …`


def show(patches: Sequence[Patch], screen: Screen) -> None:
    """Print each patch under its heading."""
    for patch in patches:
        screen.heading(f"code, from {text.printable(patch.old)} to {text.printable(patch.new)}")
        for line in patch.lines:
            screen.line(
                text.printable(line.expandtabs(4)), "bold" if line[:3] in ("---", "+++") else _STYLES.get(line[:1], "")
            )
        if not patch.lines:
            screen.line("the same")
