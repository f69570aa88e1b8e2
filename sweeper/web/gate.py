"""Who may look, and what browsers may do with a page: the door that every request passes.

A page is shown to whoever holds the token of this start of the server: as `?token=` once, which leaves a cookie and the
address without it; as a cookie; or as `Authorization: Bearer` for programs. A request whose Host is a name that this
server does not go by is refused, so that no foreign page can reach it by pointing a name of its own at 127.0.0.1.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import urllib.parse
from collections.abc import Callable, Collection
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN = (
    "/static/"  # style and scripts: they show nothing of what is on record, and the page that asks for a token has them
)

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Gate:
    """The application behind its door."""

    site: ASGIApp
    token: str
    hosts: Collection[str]  # names that the server goes by, beside localhost and any address
    port: int  # names the cookie: browsers share cookies among the ports of a host
    refusal: Callable[[Request, str], Response]  # what those see who hold no token, with the reason

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._answer(Request(scope)) if scope["type"] == "http" else None
        await (answer or self.site)(scope, receive, _with_headers(send))

    def _answer(self, request: Request) -> Response | None:
        """What the door says by itself; None lets the request through."""
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("this site can only be read\n", 405, {"Allow": "GET, HEAD"})
        if not is_known(request.headers, self.hosts):
            return PlainTextResponse("this server does not go by that name: start it with --allow-host NAME\n", 421)
        if request.scope["path"].startswith(OPEN):
            return None
        given = request.query_params.get("token")
        if given is not None:
            return (
                self._entered(request) if self._is_token(given) else self.refusal(request, "This token is not valid.")
            )
        if self._is_known(request):
            return None
        return self.refusal(request, "A token is needed.")

    def _is_known(self, request: Request) -> bool:
        kind, _, bearer = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(bearer):
            return True
        return _same(request.cookies.get(self._cookie_name, ""), self._cookie)

    def _entered(self, request: Request) -> Response:
        """The same address without the token, and a cookie in its place."""
        kept = without_token(request.query_params)
        path = "/" + urllib.parse.quote(request.scope["path"]).lstrip("/\\")
        answer = RedirectResponse(path + (f"?{urllib.parse.urlencode(kept)}" if kept else ""), 303)
        answer.set_cookie(self._cookie_name, self._cookie, httponly=True, samesite="strict", path="/")
        return answer

    @property
    def _cookie_name(self) -> str:
        return f"sweeper-{self.port}"

    @property
    def _cookie(self) -> str:
        """Not the token itself, which could be passed on in a link."""
        return hmac.new(self.token.encode(), b"cookie", hashlib.sha256).hexdigest()

    def _is_token(self, given: str) -> bool:
        return _same(given, self.token)


def is_known(headers: Headers, hosts: Collection[str]) -> bool:
    """Whether the Host of a request is an address, localhost, or one of `hosts`, whatever its port."""
    try:
        host = urllib.parse.urlsplit(f"//{headers.get('host', '')}")
        name = (host.hostname or "").lower()
        _ = host.port
    except ValueError:
        return False
    if name in {"localhost", *(known.lower() for known in hosts)}:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def without_token(params: QueryParams) -> list[tuple[str, str]]:
    """The parameters of an address but the token."""
    return [(key, value) for key, value in params.multi_items() if key != "token"]


def _same(given: str, wanted: str) -> bool:
    """Compared in a time that does not tell how much of it is right."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode())


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sending
