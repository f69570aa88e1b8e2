"""The site as an ASGI application: its addresses, and what answers each."""

from __future__ import annotations

from collections.abc import Collection

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sweeper.errors import SweeperError
from sweeper.web import api, figures, page
from sweeper.web.cluster_page import cluster, gpus, queue
from sweeper.web.compare_page import compare_trials
from sweeper.web.file import download, log
from sweeper.web.gate import Gate
from sweeper.web.importance import importance
from sweeper.web.pulse import pulse
from sweeper.web.shared import FRESH_S, Shared
from sweeper.web.source import Source
from sweeper.web.static import static
from sweeper.web.studies_page import studies
from sweeper.web.study_page import study
from sweeper.web.tables import TABLES, table
from sweeper.web.trial_page import trial

ROUTES = [
    Route("/", studies),
    Route("/study", study),
    Route("/trial", trial),
    Route("/compare", compare_trials),
    Route("/cluster", cluster),
    Route("/file", download),
    Route("/api/studies", api.studies),
    Route("/api/study", api.study),
    Route("/api/trials", api.trials),
    Route("/api/trial", api.trial),
    Route("/api/points", api.points),
    Route("/api/compare", api.compare),
    Route("/api/gpus", gpus),
    Route("/api/queue", queue),
    Route("/api/pulse", pulse),
    Route("/api/log", log),
    *(Route(f"/api/{name}", table) for name in TABLES),
    Route("/api/progress", figures.progress),
    Route("/api/importance", importance),
    Route("/api/parallel", figures.parallel),
    Route("/api/slices", figures.slices),
    Route("/api/curves", figures.curves),
    Route("/api/timeline", figures.timeline),
    Route("/static/{name}", static),
]

_OF_ONE_READER = ("/file", "/api/trials", "/api/points", "/api/log", "/static/{name}")  # large, or never the same
SHARED = frozenset(route.path for route in ROUTES) - set(_OF_ONE_READER)


def create_site(
    source: Source, token: str, *, hosts: Collection[str] = (), port: int = 0, fresh_s: float = FRESH_S
) -> ASGIApp:
    """The site behind its door. `hosts` are names that it goes by beside localhost; `port` names its cookie.

    Whoever asks for the same within `fresh_s` gets the same answer.
    """
    inner = Starlette(
        routes=ROUTES,
        exception_handlers={SweeperError: page.failed, HTTPException: page.no_page, Exception: page.failed},
    )

    async def with_source(scope: Scope, receive: Receive, send: Send) -> None:
        scope["source"] = source
        await inner(scope, receive, send)

    return Gate(Shared(with_source, SHARED, fresh_s), token, hosts, port, page.refusal)
