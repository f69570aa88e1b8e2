from __future__ import annotations

import pytest
from hydra._internal.callbacks import Callbacks

from sweeper.launch.inline import InlineLauncher
from sweeper.run.app import LoadedApp, Task
from tests.contracts.launcher import LauncherContract, LauncherFor


class TestInlineLauncher(LauncherContract):
    @pytest.fixture(scope="class")
    @classmethod
    def launcher_for(cls) -> LauncherFor:
        def make(task: Task) -> InlineLauncher:
            return InlineLauncher(LoadedApp(task, Callbacks()), after_trial=lambda: None)

        return make
