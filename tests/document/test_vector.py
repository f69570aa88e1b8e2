"""Figures within one page: names that do not clash, references that lead somewhere, nothing but shapes."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from sweeper.document.lane import Stay, sessions
from sweeper.document.section import Drawing
from sweeper.document.timeline_figure import draw_timeline
from sweeper.document.vector import inline
from tests.document.test_timeline_figure import START

HOSTILE = "--><script>alert(1)</script><!-- & \"' ]]>"


def drawing(name: str) -> Drawing:
    figure = draw_timeline(sessions([Stay(0, "COMPLETE", HOSTILE, START, START + 9)]))
    assert figure is not None
    return Drawing(name, figure, HOSTILE)


def test_two_figures_share_no_name_and_every_reference_is_met() -> None:
    one, other = (ElementTree.fromstring(inline(drawing(name))) for name in ("one", "other"))
    names = [[element.attrib["id"] for element in root.iter() if "id" in element.attrib] for root in (one, other)]
    assert len(names[0]) == len(set(names[0])) and not set(names[0]) & set(names[1])
    text = ElementTree.tostring(one, encoding="unicode")
    referred = re.findall(r"url\(#([^)]+)\)", text) + re.findall(r'href="#([^"]+)"', text)
    assert referred and set(referred) <= set(names[0])


def test_names_from_outside_are_text_alone() -> None:
    shown = inline(drawing("one"))
    root = ElementTree.fromstring(shown)
    assert "<script" not in shown and "<!--" not in shown and "metadata" not in shown
    assert root[0].text == HOSTILE and root.attrib["role"] == "img"


def test_the_same_figure_gives_the_same_bytes() -> None:
    assert inline(drawing("one")) == inline(drawing("one"))
