"""A short run of scripts/chaos: faults for real, on a cluster of two nodes, while a sweep runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_chaos_breaks_no_promise() -> None:
    words = [sys.executable, "scripts/chaos.d/run.py", "--seed", "15", "--minutes", "0.2", "--storage", "sqlite"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert '"violations"' in done.stdout, done.stdout + done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, set(said["violations"].values())) == (0, {0}), done.stdout + done.stderr
    assert re.search(r"killed the (slot|supervisor|zygote|trial) \d", done.stdout), done.stdout
