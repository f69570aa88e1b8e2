"""Is what is on record still there?"""

from __future__ import annotations

from sweeper.archive.verify import State, verify
from tests.archive.conftest import Shelf


def place(shelf: Shelf, sha256: str) -> str:
    return str(shelf.store.root / "sha256" / sha256[:2] / sha256)


def test_every_blob_is_hashed_once_and_says_whose_it_is(shelf: Shelf) -> None:
    shelf.keep(0, "a.pt", b"same")
    shelf.keep(1, "b.pt", b"same")
    shelf.keep(1, "c.pt", b"other")
    found = {checked.sha256[:4]: checked for checked in verify(shelf.history.blob_uses(), None)}

    assert [checked.state for checked in found.values()] == [State.WHOLE, State.WHOLE]
    assert sorted(len(checked.uses) for checked in found.values()) == [1, 2]


def test_damage_is_told_apart(shelf: Shelf) -> None:
    changed, missing, folder = (shelf.keep(0, f"{i}.pt", b"%d" % i) for i in range(3))
    path = shelf.store.root / "sha256"
    (path / changed[:2] / changed).chmod(0o644)
    (path / changed[:2] / changed).write_bytes(b"x")
    (path / missing[:2] / missing).unlink()
    (path / folder[:2] / folder).unlink()
    (path / folder[:2] / folder).mkdir()
    found = {checked.sha256: checked.state for checked in verify(shelf.history.blob_uses(), None)}

    assert found == {changed: State.CHANGED, missing: State.MISSING, folder: State.UNREADABLE}


def test_a_store_that_has_moved_is_checked_where_it_is(shelf: Shelf) -> None:
    shelf.keep(0, "a.pt", b"1")
    shelf.store.root.rename(shelf.store.root.with_name("moved"))
    moved = str(shelf.store.root.with_name("moved"))
    assert [checked.state for checked in verify(shelf.history.blob_uses(), moved)] == [State.WHOLE]
    assert [checked.state for checked in verify(shelf.history.blob_uses(), None)] == [State.MISSING]
