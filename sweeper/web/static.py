"""Style and scripts from this package, and plotly.js from the installed one; nothing comes from the network."""

from __future__ import annotations

import functools
import gzip
import hashlib
import importlib.resources
import re
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_OURS = ("site.css", "plotly.css", "site.js", "figure.js", "paint.js", "icon.svg")
PLOTLY = "plotly.js"
_FOREIGN_STYLE = re.compile(rb'getElementById\("([0-9a-f]{64})"\)')


@dataclass(frozen=True)
class Asset:
    """One file, as it is and packed."""

    content: bytes
    packed: bytes
    digest: str


@functools.cache
def _asset(name: str) -> Asset:
    if name == PLOTLY:
        content = importlib.resources.files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
    else:
        content = importlib.resources.files("sweeper.web").joinpath("static", name).read_bytes()
    return Asset(content, gzip.compress(content, 5), hashlib.sha256(content).hexdigest()[:12])


def versioned(name: str) -> str:
    """The address of a file, which changes with its content, so that browsers may keep it for ever."""
    return f"/static/{name}?{_asset(name).digest}"


@functools.cache
def foreign_styles() -> tuple[str, ...]:
    """Ids under which plotly.js looks for style sheets of map libraries before it adds them.

    The site draws no maps and its policy forbids styles in a page, so it has empty elements of these ids.
    """
    return tuple(sorted({found.decode() for found in _FOREIGN_STYLE.findall(_asset(PLOTLY).content)}))


def static(request: Request) -> Response:
    """One of the files, packed for browsers that can unpack it."""
    name = request.path_params["name"]
    if name not in (*_OURS, PLOTLY):
        return PlainTextResponse("there is no such file\n", 404)
    asset = _asset(name)
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(asset.packed, headers=headers, media_type=_TYPES[name.rpartition(".")[2]])
    return Response(asset.content, headers=headers, media_type=_TYPES[name.rpartition(".")[2]])
