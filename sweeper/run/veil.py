"""Keeps the secrets that this process knows out of what a run prints and logs, before it is written.

What is written past Python, by a subprocess or a C library, is masked in the run's logs once the run is over.
"""

from __future__ import annotations

import io
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from sweeper.provenance import secret

_CHUNK_BYTES = 16 << 20


@contextmanager
def drawn(folder: Path) -> Iterator[None]:
    """Mask what is printed and logged meanwhile, and the logs in `folder` after; free where no secret is known."""
    if not secret.known():
        yield
        return
    out, err, factory = sys.stdout, sys.stderr, logging.getLogRecordFactory()
    sys.stdout, sys.stderr = _Veiled(out), _Veiled(err)
    logging.setLogRecordFactory(_veiled(factory))
    try:
        yield
    finally:
        logging.setLogRecordFactory(factory)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = out, err
        cleanse(folder)


def cleanse(folder: Path) -> None:
    """Write asterisks over every known secret in the logs of a run."""
    if secret.known():
        for path in folder.glob("*.log"):
            if path.is_file() and not path.is_symlink():
                _cleanse(path)


def _cleanse(path: Path) -> None:
    """In place and of the same length: whoever still appends to the file is not disturbed."""
    overlap = max(len(value.encode()) for value in secret.known())
    with path.open("r+b") as file:
        start = 0
        while True:
            file.seek(start)
            content = file.read(_CHUNK_BYTES)
            clean = secret.masked_bytes(content)
            if clean != content:
                file.seek(start)
                file.write(clean)
            if len(content) < _CHUNK_BYTES:
                return
            start += _CHUNK_BYTES - overlap


class _Veiled(io.TextIOBase):
    """A stream whose text is masked on its way; for everything else it is the stream itself."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(secret.masked_known(text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def buffer(self) -> object:
        return self._stream.buffer

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding


def _veiled(factory: Callable[..., logging.LogRecord]) -> Callable[..., logging.LogRecord]:
    def record(*given: object, **named: object) -> logging.LogRecord:
        made = factory(*given, **named)
        try:
            made.msg, made.args = secret.masked_known(made.getMessage()), ()
        except Exception:  # a message that does not fit its arguments is logging's own to report
            return made
        if made.exc_info and made.exc_info[0] is not None:
            made.exc_text = secret.masked_known("".join(traceback.format_exception(*made.exc_info)).rstrip("\n"))
        return made

    return record
