"""Pages from templates. Whatever comes from the record is escaped by Jinja, and passes `text.printable` before."""

from __future__ import annotations

import functools
import importlib.metadata
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from sweeper import text
from sweeper.errors import ArtifactError, NotFound, StorageError, SweeperError
from sweeper.machine import plain
from sweeper.web.address import address, study_address, trial_address
from sweeper.web.gate import without_token
from sweeper.web.static import foreign_styles, versioned

if TYPE_CHECKING:
    from jinja2 import Environment

LONGEST_NAME = 80  # characters of a name in a heading


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("sweeper.web", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"clean": text.readable, "short": _short, "number": text.number}
    environment.globals |= {
        "address": address,
        "study_address": study_address,
        "trial_address": trial_address,
        "static": versioned,
        "foreign_styles": foreign_styles,
        "version": importlib.metadata.version("sweeper"),
    }
    return environment


def _short(found: object, width: int = LONGEST_NAME) -> str:
    return text.shorten(text.printable(str(found)), width)


def render(request: Request, template: str, status: int = 200, **given: Any) -> Response:
    """A page of the site."""
    shown = {"where": "", "dashboard": "", "crumbs": (), **_of_site(request), **given}
    return HTMLResponse(_environment().get_template(template).render(shown), status)


def _of_site(request: Request) -> dict[str, str]:
    """What the foot of every page says of the database; nothing on the page that asks for a token."""
    source = request.scope.get("source")
    return {} if source is None else {"where": source.history.where, "dashboard": source.dashboard}


def answer(found: object, status: int = 200) -> Response:
    """JSON for programs, with what is not finite as a string."""
    return JSONResponse(plain(found), status)


STATUS: dict[type[SweeperError], int] = {NotFound: 404, StorageError: 503, ArtifactError: 503}
TITLES = {400: "That cannot be asked", 404: "Not on record", 503: "Out of reach", 500: "Something broke"}


async def failed(request: Request, error: Exception) -> Response:
    """What went wrong, in a sentence: a page, or JSON below /api."""
    status = 500
    said = "An error of sweeper's own: the terminal that it runs in has the details."
    if isinstance(error, SweeperError):
        status, said = STATUS.get(type(error), 400), str(error)
    return told(request, status, said)


async def no_page(request: Request, error: Exception) -> Response:
    """An address that leads nowhere."""
    return told(request, 404, "There is no such page.")


def told(request: Request, status: int, said: str) -> Response:
    """An error as a page, or as JSON below /api."""
    if request.scope["path"].startswith("/api/"):
        return answer({"error": said}, status)
    return render(request, "error.html", status, title=TITLES[status], said=said, crumbs=())


def refusal(request: Request, reason: str) -> Response:
    """The page that asks for the token, and leads back to where its reader wanted to go."""
    if request.scope["path"].startswith("/api/"):
        said = f"{reason} Send the header `Authorization: Bearer TOKEN`; `sweeper ui` prints the token when it starts."
        return answer({"error": said}, 401)
    path = "/" + request.scope["path"].lstrip("/\\")
    return render(request, "token.html", 401, reason=reason, path=path, kept=without_token(request.query_params))
