"""`sweeper gc`: what lies in the artifact stores and nothing on record points to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sweeper import machine, text
from sweeper.cli.option import DEFAULT_STORAGE, Artifacts, Json, Storage
from sweeper.cli.screen import Screen

if TYPE_CHECKING:
    from sweeper.archive.garbage import Garbage
    from sweeper.history import History
    from sweeper.provenance.store import Store

_DAY_S = 86400.0


def gc(
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; without this, it is only told.")] = False,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="TIME", help="How long nothing may have used it: 12h, 7d.")
    ] = "1d",
    also: Annotated[
        list[str] | None,
        typer.Option("--also", metavar="URL", help="A further database that uses the store.", show_default=False),
    ] = None,
    artifacts: Artifacts = None,
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
) -> None:
    """Tell, and with --yes remove, stored files that nothing on record points to.

    What a running sweep writes is safe, and so is everything that a run on record points to.
    """
    from sweeper.archive import garbage
    from sweeper.config.duration import seconds
    from sweeper.history import History

    grace_s = seconds(older_than, "--older-than")
    histories = [History(url) for url in (storage, *(also or ()))]
    found = [garbage.find(store, histories, grace_s) for store in _stores(histories[0], artifacts)]
    removed = [garbage.remove(one) if yes else () for one in found]
    if json:
        machine.print_json(
            [_record(one, [blob.sha256 for blob in gone]) for one, gone in zip(found, removed, strict=True)]
        )
        return
    screen = Screen()
    for one, gone in zip(found, removed, strict=True):
        _show(one, len(gone), yes, screen)
    if not found:
        screen.line(f"No sweep in {text.printable(histories[0].where)} has an artifact store.")


def _stores(history: History, given: str | None) -> list[Store]:
    from sweeper.archive.files import store_for

    if given is not None:
        return [store_for(None, given)]
    return [store_for(url, None) for url in history.artifact_stores()]


def _show(found: Garbage, removed: int, yes: bool, screen: Screen) -> None:
    where = text.printable(found.store.url)
    young = f"; {len(found.young)} more are too young to tell" if found.young else ""
    kept = f"{text.count(found.kept, 'file')} on record {'is' if found.kept == 1 else 'are'} kept{young}"
    if not found.blobs:
        screen.line(f"{where}: no garbage; {kept}.")
    elif yes:
        screen.line(f"{where}: {text.count(removed, 'file')} removed ({text.size(found.size)}); {kept}.")
    else:
        amount = f"{text.count(len(found.blobs), 'file')} ({text.size(found.size)})"
        screen.line(f"{where}: {amount} that nothing on record points to; {kept}.")
        screen.line("Nothing was removed: `sweeper gc --yes` removes it.")


def _record(found: Garbage, removed: list[str]) -> dict[str, object]:
    return {
        "store": found.store.url,
        "garbage": [machine.record(blob) for blob in found.blobs],
        "removed": removed,
        "too_young": [machine.record(blob) for blob in found.young],
        "kept": found.kept,
    }
