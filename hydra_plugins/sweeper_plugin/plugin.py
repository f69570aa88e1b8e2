"""`hydra/sweeper=sweeper`: registers the structured config and calls `sweeper.multirun`, inside `sweep()` alone."""

from __future__ import annotations

import sys
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.plugins.sweeper import Sweeper as HydraSweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from sweeper.config.settings import Settings, unknown_keys

ConfigStore.instance().store(group="hydra/sweeper", name="sweeper", node=Settings, provider="sweeper")


class SweeperSearchPath(SearchPathPlugin):
    """Adds the config groups that ship with sweeper: samplers, pruners, clusters."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        if "hydra/sweeper=sweeper" in sys.argv and (unknown := unknown_keys(sys.argv)):
            raise SystemExit("\n".join(f"sweeper: {sentence}" for sentence in unknown))
        search_path.append(provider="sweeper", path="pkg://sweeper.conf")


class Sweeper(HydraSweeper):
    """What Hydra instantiates; its keyword arguments are `hydra.sweeper`, read again from the config by `launch`."""

    def __init__(self, **settings: Any) -> None:
        self._settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._context = hydra_context
        self._task = getattr(task_function, "__sweeper_task__", task_function)  # of an app of @sweeper.main
        self._config = config

    def sweep(self, arguments: list[str]) -> None:
        """Run the sweep; leaves with one line and an exit status of its own where it fails."""
        from sweeper.errors import Interrupted, SweeperError
        from sweeper.multirun import launch
        from sweeper.preparation import Multirun
        from sweeper.provenance.secret import masked_text

        try:
            launch(Multirun(self._context, self._task, self._config, arguments))
        except (SweeperError, Interrupted) as error:
            print(f"sweeper: {masked_text(str(error))}", file=sys.stderr)
            raise SystemExit(error.exit_status) from error
