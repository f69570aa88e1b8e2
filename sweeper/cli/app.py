"""The verbs together. A verb's module imports rooms inside its function: `sweeper --help` stays light."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Callable
from typing import Annotated

import typer

from sweeper.cli.artifacts import artifacts
from sweeper.cli.attach import attach
from sweeper.cli.audit import audit
from sweeper.cli.best import best
from sweeper.cli.bundle import bundle
from sweeper.cli.compare import compare
from sweeper.cli.db import db
from sweeper.cli.enqueue import enqueue
from sweeper.cli.export import export
from sweeper.cli.extend import extend
from sweeper.cli.gc import gc
from sweeper.cli.get import get
from sweeper.cli.gpus import gpus
from sweeper.cli.importance import importance
from sweeper.cli.kill import kill
from sweeper.cli.launch import launch
from sweeper.cli.logs import logs
from sweeper.cli.ls import ls
from sweeper.cli.pause import pause
from sweeper.cli.plan import plan
from sweeper.cli.queue import queue
from sweeper.cli.report import report
from sweeper.cli.reproduce import reproduce
from sweeper.cli.resume import resume
from sweeper.cli.scale import scale
from sweeper.cli.search import search
from sweeper.cli.show import show
from sweeper.cli.stop import stop
from sweeper.cli.tag import note, tag
from sweeper.cli.ui import ui
from sweeper.cli.verify import verify

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_DRIVING = (launch, plan, attach, logs, resume, stop, pause, extend, scale, enqueue, kill)
_LOOKING = (ls, show, best, importance, report, compare, search, gpus, queue, ui)
_KEEPING = (tag, note, artifacts, get, verify, gc, export, bundle)
for verb in (*_DRIVING, *_LOOKING, *_KEEPING):
    app.command()(verb)
app.command()(reproduce)
app.command()(audit)
app.add_typer(db, name="db")


def _print_version(asked: bool) -> None:
    if asked:
        print(f"sweeper {importlib.metadata.version('sweeper')}")
        raise typer.Exit


@app.callback()
def sweeper(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Hyperparameter sweeps of Hydra apps on Ray, every trial on record in an Optuna-compatible database."""


@functools.cache
def command() -> Callable[..., object]:
    """All of it, ready to be called; to make it of the verbs' signatures takes 20 ms."""
    return typer.main.get_command(app)
