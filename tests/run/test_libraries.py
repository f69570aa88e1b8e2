"""Variables of libraries, lent to children: they are what they were, and each process has its own."""

from __future__ import annotations

import subprocess
import sys

_TOLD = """
import os, re, sqlite3
from pathlib import Path
from sweeper.run import libraries
import numpy as np

def own():
    parts = re.split(r"\\n(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text())
    return sum(".so" in part and not re.search(r"\\nAnonymous: +0 kB", part) for part in parts)

def drawn(seed):
    np.random.seed(seed)
    return np.random.rand(3).tolist()

expected = drawn(1), drawn(2)
np.random.seed(1)
"""


def told(code: str) -> list[int]:
    return [int(word) for word in subprocess.check_output([sys.executable, "-c", _TOLD + code], text=True).split()]


def test_they_are_what_they_were_and_a_fork_has_few_mappings_to_copy() -> None:
    written, lent, works = told(
        "written = own(); libraries.lend(); lent = own()\n"
        "found = sqlite3.connect(':memory:').execute('select 6 * 7').fetchone()[0]\n"
        "print(written, lent, int(found == 42 and np.random.rand(3).tolist() == expected[0]))"
    )
    assert lent <= 0.6 * written
    assert works == 1


def test_each_process_has_its_own() -> None:
    in_child, in_parent = told(
        "libraries.lend()\n"
        "if (pid := os.fork()) == 0:\n"
        "    os._exit(drawn(2) == expected[1])\n"
        "status = os.waitpid(pid, 0)[1]\n"
        "print(os.waitstatus_to_exitcode(status), int(np.random.rand(3).tolist() == expected[0]))"
    )
    assert (in_child, in_parent) == (1, 1)


def test_without_room_for_the_file_all_stays_as_it_is() -> None:
    written, left, works = told(
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "written = own(); libraries.lend(); left = own()\n"
        "print(written, left, int(np.random.rand(3).tolist() == expected[0]))"
    )
    assert left == written
    assert works == 1
