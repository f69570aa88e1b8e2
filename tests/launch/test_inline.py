from __future__ import annotations

import pytest
from hydra._internal.callbacks import Callbacks

from sweeper.launch.inline import InlineLauncher
from sweeper.run.app import LoadedApp, Task
from tests.contracts.launcher import LauncherContract, LauncherFor


class TestInlineLauncher(LauncherContract):
    @pytest.fixture
    def launcher_for(self) -> LauncherFor:
        def make(task: Task) -> InlineLauncher:
            return InlineLauncher(LoadedApp(task, Callbacks()), after_trial=lambda: None)

        return make
