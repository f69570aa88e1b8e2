"""Logging that was foreseen is what Hydra would have made of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hydra.core.utils import configure_log
from omegaconf import OmegaConf

from sweeper.run import joblog
from sweeper.run.joblog import JobLog
from tests.logs import restored

SIMPLE: dict[str, Any] = {
    "version": 1,
    "formatters": {"simple": {"format": "[%(levelname)s] %(message)s", "datefmt": "%H"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "simple", "stream": "ext://sys.stderr"},
        "file": {
            "class": "logging.FileHandler",
            "formatter": "simple",
            "level": "WARNING",
            "filename": "${hydra.runtime.output_dir}/${hydra.job.name}.log",
        },
    },
    "root": {"level": "INFO", "handlers": ["file", "console"]},
    "disable_existing_loggers": False,
}
OTHERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a logger of its own": lambda config: config.update(loggers={"tests.joblog": {"level": "ERROR"}}),
    "a formatter of its own": lambda config: config["formatters"].update(own={"format": "%(message)s", "style": "%"}),
    "another handler": lambda config: config["handlers"].update(none={"class": "logging.NullHandler"}),
    "loggers are disabled": lambda config: config.update(disable_existing_loggers=True),
    "no level": lambda config: config["root"].pop("level"),
    "a handler that is not there": lambda config: config["root"].update(handlers=["file"]),
}


@pytest.fixture(autouse=True)
def _logging_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(joblog, "_foreseen", None)
    with restored():
        yield


def facts() -> list[object]:
    """What a configuration decides."""
    root = logging.getLogger()
    own = [
        (
            type(handler),
            handler.name,
            handler.level,
            getattr(handler, "stream", None) if type(handler) is logging.StreamHandler else None,
            getattr(handler, "baseFilename", None),
            None if handler.formatter is None else (handler.formatter._fmt, handler.formatter.datefmt),
        )
        for handler in root.handlers
    ]
    other = logging.getLogger("tests.joblog")
    return [root.level, own, other.disabled, other.isEnabledFor(logging.INFO), other.getEffectiveLevel()]


@pytest.mark.parametrize("change", [lambda _: None, *OTHERS.values()], ids=["simple", *OTHERS])
@pytest.mark.parametrize("is_foreseen", [True, False], ids=["foreseen", "unforeseen"])
def test_it_is_as_hydra_makes_it(tmp_path: Path, change: Callable[[dict[str, Any]], object], is_foreseen: bool) -> None:
    logging.getLogger("tests.joblog").disabled = True
    config = deepcopy(SIMPLE)
    change(config)
    hydra = OmegaConf.create(
        {
            "hydra": {
                "job_logging": config,
                "verbose": False,
                "job": {"name": "app"},
                "runtime": {"output_dir": str(tmp_path)},
            }
        }
    ).hydra
    log = JobLog.of(OmegaConf.to_container(hydra))  # type: ignore[arg-type]
    with restored():
        if is_foreseen:
            log.foresee()
        logging.getLogger().setLevel(logging.INFO)  # as somebody else may have done
        log.open(tmp_path, hydra)
        ours = facts()
    logging.getLogger("tests.joblog").disabled = True
    logging.getLogger().setLevel(logging.INFO)
    configure_log(hydra.job_logging, False)

    assert ours == facts()


def test_what_hydra_itself_ships_for_jobs_is_simple(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Or every trial pays for the long way."""
    monkeypatch.setattr(joblog, "configure_logging", None)
    import hydra.conf

    shipped = Path(hydra.conf.__path__[0], "hydra", "job_logging")
    for name in ("default", "stdout"):
        config = OmegaConf.to_container(OmegaConf.load(shipped / f"{name}.yaml"))
        log = JobLog.of({"job_logging": config, "verbose": False, "job": {"name": "app"}})
        log.foresee()
        log.open(tmp_path, OmegaConf.create())
