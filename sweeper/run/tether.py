"""`python -m sweeper.run.tether PARENT WORD…`: becomes that command, which ends when the process PARENT does."""

import contextlib
import os
import sys

from sweeper.run.process import die_with

if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    with contextlib.suppress(PermissionError):  # Ray's workers are nice to others; a driver has many who wait for it
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    os.execv(sys.argv[2], sys.argv[2:])
