"""A figure as SVG within a page that holds others: no foreign markup, and no two elements of one name."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from markupsafe import Markup

from sweeper.document.ink import rendered
from sweeper.document.section import Drawing

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def inline(drawing: Drawing) -> Markup:
    """The `<svg>` element of the figure, its gist as its title; every id in it begins with the drawing's name."""
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    root = ElementTree.fromstring(rendered(drawing.figure, "svg"))  # comments, which hold names, are left behind
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    for element in root.iter():
        _rename(element, drawing.name)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    title = ElementTree.Element(f"{{{_SVG}}}title", {"id": f"{drawing.name}-title"})
    title.text = drawing.gist
    root.insert(0, title)
    root.attrib |= {"role": "img", "aria-labelledby": f"{drawing.name}-title"}
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _rename(element: ElementTree.Element, prefix: str) -> None:
    for key, value in element.attrib.items():
        if key == "id":
            element.attrib[key] = f"{prefix}-{value}"
        elif key in ("href", f"{{{_XLINK}}}href") and value.startswith("#"):
            element.attrib[key] = f"#{prefix}-{value[1:]}"
        elif "url(#" in value:
            element.attrib[key] = _REFERENCE.sub(rf"url(#{prefix}-\1)", value)
