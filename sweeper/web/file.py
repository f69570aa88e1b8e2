"""What lies in files: artifacts as downloads, and the log of a trial as it grows."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from sweeper.archive import files
from sweeper.archive.log import LOG, piece
from sweeper.errors import NotFound
from sweeper.history import RunRow, TrialName
from sweeper.web.address import required
from sweeper.web.page import answer
from sweeper.web.source import Source, source_of

_CHUNK_BYTES = 1 << 18


def download(request: Request) -> Response:
    """One file of a run, always as an attachment and never as a page of this site, whatever it says it is."""
    source, given = source_of(request), request.query_params
    run = run_of(source, given.get("trial", ""), given.get("attempt"))
    wanted = required(given, "name")
    row = next((row for row in source.history.artifacts(run.run) if row.name == wanted), None)
    if row is None:
        raise NotFound(f"{run.study}/{run.number} keeps no {wanted!r:.200}: its page lists what it keeps")
    content = files.opened(row, source.artifacts)
    name = urllib.parse.quote(row.name.rpartition("/")[2], safe="")
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "Content-Length": str(row.size),
        "Cache-Control": "private, max-age=3600",
    }
    return StreamingResponse(_chunks(content), headers=headers, media_type="application/octet-stream")


def log(request: Request) -> Response:
    """The end of a run's log, or what it has from the byte `after` on."""
    source, given = source_of(request), request.query_params
    run = run_of(source, given.get("trial", ""), given.get("attempt"))
    after = given.get("after", "")
    found = piece(Path(run.folder) / LOG, int(after) if after.isdecimal() and len(after) < 16 else None)
    return answer(None if found is None else {"text": found.text, "end": found.end, "state": run.state})


def run_of(source: Source, trial: str, attempt: str | None) -> RunRow:
    """The run that an address names: of a trial, the newest unless it names another. Raises NotFound."""
    number = int(attempt) if attempt and attempt.isdecimal() and len(attempt) < 9 else None
    return files.run_of(source.history, TrialName.parse(trial), number)


def _chunks(content: BinaryIO) -> Iterator[bytes]:
    with content:
        while chunk := content.read(_CHUNK_BYTES):
            yield chunk
