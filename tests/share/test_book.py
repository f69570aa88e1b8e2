from __future__ import annotations

from dataclasses import replace

import pytest

from sweeper.launch.room import Offer
from sweeper.share.book import SILENT_S, Book
from sweeper.share.claim import Applicant, Claim, Terms
from sweeper.trial import Resources
from tests.share.simulated import node

GPU = Resources(cpus=1, gpus=1)
CPU = Resources(cpus=1)
EQUAL = Terms()
NODES = [node("a"), node("b")]


def claim(
    name: str, wanted: int = 99, unit: Resources = GPU, held: dict[str, int] | None = None, terms: Terms = EQUAL
) -> Claim:
    amounts = {where: (count * unit.cpus, count * unit.gpus) for where, count in (held or {}).items()}
    running = sum((held or {}).values())
    return Claim(Applicant(name, name, "ann", "h", terms), unit, held=amounts, running=running, wanted=wanted)


def settled(*claims: Claim, nodes: list[Offer] = NODES, foreign: dict[str, tuple[float, float]] | None = None) -> Book:
    book = Book()
    for one in claims:
        book.report(one, 0.0)
    book.settle(nodes, foreign or {}, 0.0)
    return book


def taken_back(book: Book, one: Claim) -> float:
    """How many cards a sweep must give back at once."""
    return sum(one.held[where][1] - most for where, most in book.grant(one.by.sweep).most.items())


def gpus(book: Book, name: str) -> float:
    return sum(amount[1] for amount in book.grant(name).allowed.values())


def test_one_alone_has_everything() -> None:
    assert gpus(settled(claim("one")), "one") == 16


def test_the_second_waits_until_something_is_given_back() -> None:
    book = settled(claim("old", held={"a": 8, "b": 8}), claim("new"))
    assert (gpus(book, "old"), gpus(book, "new")) == (8, 0)

    book.report(claim("old", held={"a": 8, "b": 7}), 0.0)
    book.settle(NODES, {}, 0.0)

    assert (gpus(book, "old"), gpus(book, "new")) == (8, 1)


def test_nothing_is_preempted_without_a_priority() -> None:
    book = settled(claim("old", held={"a": 8, "b": 8}), claim("new"))

    assert book.grant("old").most == {}


def test_a_higher_priority_preempts_what_it_lacks_and_no_floor() -> None:
    low = claim("low", held={"a": 8, "b": 8}, terms=Terms(least=2))

    book = settled(low, claim("high", wanted=5, terms=Terms(priority=1)))
    assert taken_back(book, low) == 5

    book = settled(low, claim("high", terms=Terms(priority=1)))
    assert taken_back(book, low) == 14

    book = settled(low, claim("high", wanted=10, terms=Terms(priority=1)), nodes=[*NODES, node("c")])
    assert taken_back(book, low) == 2  # what is free is taken first


def test_of_the_lower_ones_the_lowest_gives_first() -> None:
    claims = [
        claim("low", held={"a": 8}),
        claim("middle", wanted=8, held={"b": 8}, terms=Terms(priority=1)),
        claim("high", wanted=6, terms=Terms(priority=2)),
    ]
    book = settled(*claims)

    assert [taken_back(book, one) for one in claims] == [6, 0, 0]


def test_what_may_be_kept_does_not_change_while_it_is_given_back() -> None:
    high = claim("high", wanted=2, terms=Terms(priority=1))
    grants = [settled(claim("low", held={"a": held}), high, nodes=[node("a")]).grant("low") for held in (8, 7, 6)]

    assert [grant.most for grant in grants] == [{"a": 6}, {"a": 6}, {}]


def test_what_nobody_wants_stays_with_whom_it_is_with() -> None:
    idle = replace(claim("idle", wanted=0, held={"a": 4}), running=0)

    assert gpus(settled(idle, claim("busy", wanted=12)), "idle") == 4
    assert gpus(settled(idle, claim("busy", wanted=16)), "idle") == 0


def test_a_cap_is_kept_though_there_is_room() -> None:
    assert gpus(settled(claim("one", terms=Terms(most=3))), "one") == 3


def test_what_others_use_of_a_node_is_not_given_out() -> None:
    assert gpus(settled(claim("one"), foreign={"a": (0.0, 7.5)}), "one") == 8


def test_sweeps_without_gpus_share_the_processors_that_those_with_gpus_leave() -> None:
    book = settled(claim("cards"), claim("plain", unit=CPU), claim("other", unit=CPU), nodes=[node("a", cpus=20)])

    assert gpus(book, "cards") == 8
    cpus = [sum(amount[0] for amount in book.grant(name).allowed.values()) for name in ("plain", "other")]
    assert cpus == [6, 6]


def test_a_silent_driver_counts_no_more() -> None:
    book = settled(claim("dead"), claim("alive"))
    book.report(claim("alive"), SILENT_S + 1)
    book.settle(NODES, {}, SILENT_S + 1)

    assert gpus(book, "alive") == 16
    assert "dead" not in book
    with pytest.raises(KeyError):
        book.grant("dead")


def test_an_heir_takes_the_place_of_the_dead_at_once_and_what_it_was_owed() -> None:
    held = {"a": 2, "b": 2}
    book = settled(claim("dead", held=held), claim("other", held={"a": 6, "b": 6}))
    book.report(claim("dead", held=held), 1.0)
    book.settle(NODES, {}, 1.0)
    before = book.grant("dead")
    assert before.balance_s > 0

    book.report(replace(claim("heir", held=held), heir_of=frozenset({"dead", "unheard of"})), 1.0)
    book.settle(NODES, {}, 1.0)

    assert "dead" not in book
    assert (book.grant("heir").used_s, book.grant("heir").balance_s) == (before.used_s, before.balance_s)
    assert book.held() == {"a": (8, 8), "b": (8, 8)}
    assert gpus(book, "heir") == 4
    assert gpus(book, "other") == 8


def test_a_book_that_was_lost_goes_on_with_what_the_drivers_were_told() -> None:
    book = settled(claim("old", held={"a": 8, "b": 8}), claim("new"))
    for second in range(1, 11):
        for one in (claim("old", held={"a": 8, "b": 8}), claim("new")):
            book.report(one, second)
        book.settle(NODES, {}, second)
    old, new = book.grant("old"), book.grant("new")
    assert (old.used_s, new.used_s) == (160, 0)
    assert new.balance_s == pytest.approx(80, rel=0.01)

    again = Book()
    again.report(replace(claim("new"), used_s=new.used_s, balance_s=new.balance_s), 0)
    again.settle(NODES, {}, 0)

    assert again.grant("new").balance_s == new.balance_s


def test_nobody_owes_for_what_nobody_else_wanted() -> None:
    book = settled(claim("one", held={"a": 8, "b": 8}))
    for second in range(1, 100):
        book.report(claim("one", held={"a": 8, "b": 8}), second)
        book.settle(NODES, {}, second)

    assert book.grant("one").balance_s == 0


def test_the_standings_say_who_has_what_and_how_many_wait() -> None:
    (first, second) = settled(
        claim("b", wanted=20, held={"a": 8, "b": 3}), claim("a", wanted=7, held={"b": 5}, terms=Terms(weight=2))
    ).standings()

    assert (first.study, first.weight, first.share, first.held, first.running, first.waiting) == ("a", 2, 7, 5, 5, 2)
    assert (second.study, second.share, second.held, second.waiting) == ("b", 9, 11, 9)
