"""The page of the cards, and the same for programs."""

from __future__ import annotations

import json

from sweeper.sight import Sight
from tests.history.database import Written
from tests.web.conftest import card, sweep, visitor
from tests.web.test_pages import look


def running(written: Written) -> None:
    written.study("digits")
    written.our_tables()
    sweep = written.sweep("digits", ended_at=None, outcome=None)
    for number, cards in ((3, ["GPU-a"]), (4, ["GPU-b"]), (5, ["GPU-b"])):
        written.run("digits", number, sweep=sweep, state="RUNNING", ended_at=None, gpus=json.dumps(cards))


def test_who_is_on_which_card(written: Written) -> None:
    running(written)
    cards = [
        card("GPU-a", utilization=0.5),
        card("GPU-b", index=1, utilization=None, power_w=None),
        card("GPU-c", index=2, name="Tesla T4", memory_total=16 << 30, others=[4711]),
        card("GPU-d", index=3),
    ]
    site = visitor(written.url, seen=Sight("the Ray cluster at 10.0.0.1:6379", cards))

    page = look(site, "/cluster")
    assert "The Ray cluster at 10.0.0.1:6379: 4 GPUs, 1 of them idle." in page.text
    for said in ("50%", " of 16 GiB", "digits/4, digits/5", "process 4711", "Tesla T4"):
        assert said in page.text
    assert "/trial?trial=digits%2F3" in {link["href"] for link in page.all("a")}

    told = site.get("/api/gpus").json()
    assert [one["trials"] for one in told] == [["digits/3"], ["digits/4", "digits/5"], [], []]
    assert site.get("/api/gpus", params={"format": "csv"}).text.startswith("node,index,uuid,name,")


def test_who_shares_it(written: Written) -> None:
    running(written)
    site = visitor(written.url, seen=Sight("the Ray cluster at a", queue=[sweep("digits"), sweep("far", weight=2.0)]))

    page = look(site, "/cluster")
    for said in ("ada@node-a", "8 GPU", "7.5 GPU", "1.50 GPU h", "far"):
        assert said in page.text
    studies = {link["href"] for link in page.all("a") if str(link["href"]).startswith("/study")}
    assert studies == {"/study?study=digits"}  # the other is in somebody else's database

    assert [one["study"] for one in site.get("/api/queue").json()] == ["digits", "far"]


def test_the_page_moves_when_a_card_does(written: Written) -> None:
    idle, busy = (Sight("this machine", [card("GPU-a", utilization=share)]) for share in (0.0, 0.9))

    marks = [visitor(written.url, seen=seen).get("/api/pulse?cluster=1").json()["mark"] for seen in (idle, busy, idle)]

    assert marks[0] == marks[2] != marks[1]


def test_where_there_is_no_card_that_is_said(written: Written) -> None:
    page = look(visitor(written.url, seen=Sight("this machine", remarks=["There is no GPU here: n."])), "/cluster")

    assert "There is no GPU here: n." in page.text and not page.all("table")


def test_names_from_a_node_are_text(written: Written) -> None:
    seen = Sight("this <b>machine", [card("GPU-a", name="<script>alert(1)</script>", node="\u202egpu")])

    page = look(visitor(written.url, seen=seen), "/cluster")

    assert not [one for one in page.all("script") if "src" not in one] and not page.all("b")
    assert "<script>alert(1)</script>" in page.text and "\u202e" not in page.html
