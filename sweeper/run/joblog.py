"""The logging of a job, as `hydra.job_logging` wants it: worked out once for trials that share a config.

What is left for each trial is to fill in its folder and to open its files. Python, and Hydra around it, go through
every logger there is and through much code of their own, for which a forked process copies 480 of its 2,300 pages: a
simple configuration is applied here, in a process whose parent has its loggers as they are wanted.
"""

from __future__ import annotations

import logging
import logging.config
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.utils import configure_log
from omegaconf import DictConfig

try:
    from hydra._internal.logging_config import configure_logging
except ImportError:  # earlier releases of Hydra leave it to Python
    configure_logging = logging.config.dictConfig

_FOLDER = "${hydra.runtime.output_dir}"
_STREAM = "ext://sys."
_STREAMS = (f"{_STREAM}stdout", f"{_STREAM}stderr")

_foreseen: Mapping[str, Any] | None = None  # what this process or its parent has its loggers ready for


@dataclass(frozen=True, slots=True)
class JobLog:
    """The logging of trials, which differ in their folders alone."""

    config: Mapping[str, Any] | None  # plain, all but the folder filled in; None where Hydra must see to each trial

    @classmethod
    def of(cls, hydra: Mapping[str, Any]) -> JobLog:
        """Read the `hydra` node, plain and unresolved."""
        named = _replaced(hydra["job_logging"], "${hydra.job.name}", str(hydra["job"]["name"]))
        is_open = "${" in str(_replaced(named, _FOLDER, ""))
        return cls(None if is_open or not named or hydra["verbose"] is not False else named)

    def foresee(self) -> None:
        """Have the loggers of this process as those of its children are going to want them that run trials."""
        global _foreseen
        if self._is_simple():
            _foreseen = self.config
            for logger in logging.root.manager.loggerDict.values():
                if isinstance(logger, logging.Logger):
                    logger.disabled = False
            logging.root.setLevel(self._level())

    def open(self, folder: Path, hydra: DictConfig) -> None:
        """Configure the logging of this process for the run in `folder`."""
        if self.config is None or "${" in str(folder):
            configure_log(hydra.job_logging, hydra.verbose)
        elif self.config["root"] is not None:
            config = _replaced(self.config, _FOLDER, str(folder))
            if self.config == _foreseen and logging.root.level == self._level():
                _open(config)
            else:
                configure_logging(config)

    def _is_simple(self) -> bool:
        """Whether it names nothing but files and streams of the root logger, as Hydra's own configurations do."""
        config = self.config
        if config is None or not config["root"] or config.get("disable_existing_loggers", True):
            return False
        formatters, handlers = config.get("formatters", {}), config.get("handlers", {})
        return (
            config.keys() <= {"version", "formatters", "handlers", "root", "disable_existing_loggers"}
            and self._level() >= 0
            and config["root"].keys() <= {"level", "handlers"}
            and set(config["root"].get("handlers", ())) <= handlers.keys()
            and all(each.keys() <= {"format", "datefmt"} for each in formatters.values())
            and all(_is_simple(each, formatters) for each in handlers.values())
        )

    def _level(self) -> int:
        level = self.config["root"].get("level") if self.config else None
        return level if isinstance(level, int) else logging.getLevelNamesMapping().get(str(level), -1)


def _is_simple(handler: Mapping[str, Any], formatters: Mapping[str, Any]) -> bool:
    own = handler.keys() - {"class", "formatter", "level"}
    if "formatter" in handler and handler["formatter"] not in formatters:
        return False
    if handler.get("class") == "logging.FileHandler":
        return "filename" in own and own <= {"filename", "mode"}
    return handler.get("class") == "logging.StreamHandler" and own == {"stream"} and handler["stream"] in _STREAMS


def _open(config: Mapping[str, Any]) -> None:
    """Do what Python does with a simple configuration, where the loggers are as it wants them."""
    logging.config._clearExistingHandlers()  # type: ignore[attr-defined]  # those of all loggers are closed
    formatters = {
        name: logging.Formatter(each.get("format"), each.get("datefmt"))
        for name, each in config.get("formatters", {}).items()
    }
    handlers = {name: _handler(name, each, formatters) for name, each in sorted(config.get("handlers", {}).items())}
    for old in logging.root.handlers[:]:
        logging.root.removeHandler(old)
    for name in config["root"].get("handlers", ()):
        logging.root.addHandler(handlers[name])


def _handler(name: str, config: Mapping[str, Any], formatters: Mapping[str, logging.Formatter]) -> logging.Handler:
    handler: logging.Handler
    if "filename" in config:
        handler = logging.FileHandler(config["filename"], config.get("mode", "a"))
    else:
        handler = logging.StreamHandler(getattr(sys, config["stream"].removeprefix(_STREAM)))
    handler.name = name
    if "formatter" in config:
        handler.setFormatter(formatters[config["formatter"]])
    if "level" in config:
        handler.setLevel(config["level"])
    return handler


def _replaced(plain: Any, old: str, new: str) -> Any:
    """The same content with another text in the place of one."""
    if isinstance(plain, dict):
        return {key: _replaced(value, old, new) for key, value in plain.items()}
    if isinstance(plain, list):
        return [_replaced(value, old, new) for value in plain]
    return plain.replace(old, new) if isinstance(plain, str) else plain
