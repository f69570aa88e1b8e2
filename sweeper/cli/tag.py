"""`sweeper tag digits/17 paper`, `sweeper note digits/17 'why it diverged'`: what people write beside trials."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from sweeper import machine, text
from sweeper.cli.option import DEFAULT_STORAGE, Json, Storage
from sweeper.cli.screen import Screen

if TYPE_CHECKING:
    from sweeper.history import History

_LONGEST_TAG = 100

Name = Annotated[str, typer.Argument(metavar="STUDY[/NUMBER]", help="A trial, or a study.")]


def tag(
    name: Name,
    tags: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TAG]...", help="Tags; without one, they are listed.", show_default=False),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the tags away.")] = False,
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
) -> None:
    """Tag a trial or a study, or list its tags; `sweeper search 'tag = paper'` finds them again."""
    from sweeper.history import History

    history = History(storage)
    study, number = _owner(history, name)
    names = [_checked(one) for one in tags or ()]
    if names:
        from sweeper import record

        writable = record.Storage(storage)
        if remove:
            record.untag(writable, study, number, names)
        else:
            record.tag(writable, study, number, names, getpass.getuser())
        writable.close()
    found = history.tags(study).get(number, ())
    if json:
        machine.print_json({"study": study, "number": number, "tags": found})
        return
    screen = Screen()
    if screen.is_terminal:
        tagged = f"is tagged {', '.join(found)}" if found else "has no tag"
        screen.line(text.printable(f"{name} {tagged}"))
    else:
        for one in found:
            screen.line(text.printable(one))


def note(
    name: Name,
    body: Annotated[
        str | None,
        typer.Argument(
            metavar="[TEXT]", help="Markdown, - reads it; without it, the note is shown.", show_default=False
        ),
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
) -> None:
    """Write the note of a trial or a study, or show it; optuna-dashboard shows and edits the same note."""
    from sweeper.history import History

    history = History(storage)
    study, number = _owner(history, name)
    if body is not None:
        from sweeper import record

        writable = record.Storage(storage)
        record.note(writable, study, number, sys.stdin.read() if body == "-" else body)
        writable.close()
    found = history.note(study, number)
    if json:
        machine.print_json({"study": study, "number": number, "note": found})
    elif body is None:
        for line in found.splitlines():
            print(text.printable(line))


def _owner(history: History, name: str) -> tuple[str, int | None]:
    """The study, and the trial's number where one is meant. Raises NotFound for what is not there."""
    found = history.resolve(name)
    if isinstance(found, str):
        return history.study(found).name, None
    history.trial(found.study, found.number)
    return found.study, found.number


def _checked(tag: str) -> str:
    from sweeper.errors import ConfigError

    if not 0 < len(tag) <= _LONGEST_TAG or not tag.isprintable() or tag != tag.strip():
        raise ConfigError(f"{tag!r:.120} is no tag: give 1 to {_LONGEST_TAG} printable characters")
    return tag
